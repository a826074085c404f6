"""A case of the parity between plain ``pytest`` and ``iopio run``: what is run, and what comes out.

A case is a project of this folder, perhaps with files of its own laid over it, and a command line.
Both sides must end as the case says. Where iopio does otherwise than pytest, on purpose, the case
lists each difference with the reason for it; anything else is a defect.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fixture_projects.pytest_expected import Outcomes

#: Reasons for differences.
CONTINUES = "pytest stops all modules at one module's error; iopio runs the others"
ISOLATED = "isolation changes it: the modules get in each other's way in one process only"
NOT_RUN = "iopio lists planned tests that had no turn"
IN_FLIGHT = "iopio names the test that was running when the session ended"
NO_FALSE_PASS = "an exit code of 0 proves nothing"
OWN_LIMIT = "pytest's own failure limit counts in each module's process"
TURNED_OFF = "iopio turns off what spreads or resumes a session"
ONCE = "a plugin's further rounds are not in the plan: only their failures are told"

#: Exit codes of pytest → those of iopio that go with them.
EXIT_CODES = {0: 0, 1: 1, 2: 1, 3: 1, 4: 1, 5: 5}


@dataclass(frozen=True)
class Case:
    """One comparison.

    ``options`` are pytest's; iopio gets them behind ``--``, or ``own`` in their place. ``cwd`` is
    relative to the project. ``exit`` is plain pytest's exit code, ``own_exit`` iopio's where it is
    not the one that goes with it. ``differences`` maps ids to what iopio makes of them (``None``:
    nothing) and why; ``because`` says why the exit codes don't go together.
    """

    name: str
    project: str
    outcomes: Outcomes
    exit: int
    options: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None
    paths: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "."
    own_exit: int | None = None
    because: str = ""
    differences: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    slow: bool = False
    needs_pytest: int = 8

    @property
    def own_outcomes(self) -> Outcomes:
        """What iopio must come to."""
        own: dict[str, str | None] = dict(self.outcomes)
        own.update({node: outcome for node, (outcome, _) in self.differences.items()})
        return {node: outcome for node, outcome in own.items() if outcome is not None}


def ini(addopts: str = "", **settings: str) -> dict[str, str]:
    lines = ["[pytest]", *(f"{name} = {value}" for name, value in settings.items())]
    return {"pytest.ini": "\n".join([*lines, f"addopts = {addopts}", ""])}


def without(outcomes: Outcomes, *parts: str) -> Outcomes:
    return {n: o for n, o in outcomes.items() if not any(part in n for part in parts)}


def only(outcomes: Outcomes, *parts: str) -> Outcomes:
    return {n: o for n, o in outcomes.items() if any(part in n for part in parts)}


def run_by_iopio_alone(outcomes: Outcomes, why: str) -> dict[str, tuple[str | None, str]]:
    return {node: (outcome, why) for node, outcome in outcomes.items()}


def small(name: str, outcomes: Outcomes, exit_code: int, **rest: object) -> Case:
    return replace(Case(name, "pytest_small", outcomes, exit_code), **rest)  # type: ignore[arg-type]


def green(name: str, outcomes: Outcomes, exit_code: int, **rest: object) -> Case:
    return replace(Case(name, "pytest_green", outcomes, exit_code), **rest)  # type: ignore[arg-type]
