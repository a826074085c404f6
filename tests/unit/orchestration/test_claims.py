"""What modules claim: found, kept, and found anew where anything changed that they can see."""

import os
import stat
from pathlib import Path

import pytest

from iopio_async import state
from iopio_async.model.config import Config, Override, Resource
from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.orchestration import claims as claiming
from iopio_async.orchestration.claims import ClaimedPlan, ClaimsSource, StoppedError, claims_of_plan

WRITES = "def test_it():\n    open('data/x.txt', 'w').write('x')\n"
READS = "def test_it():\n    open('data/x.txt').read()\n"
HARMLESS = "def test_it():\n    assert 1 + 1 == 2\n"
CALLS = "from product import save\n\n\ndef test_it():\n    save()\n"
PRODUCT = "def save():\n    open('out.txt', 'w').write('x')\n"


class Project:
    """Files below a folder; ``analysed`` are the modules that were judged anew."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.analysed: list[str] = []
        judged = claiming.claims_of

        def counting(sources: object, path: str, **more: object) -> object:
            self.analysed.append(path)
            return judged(sources, path, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(claiming, "claims_of", counting)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.folder / (name.replace("__", "/") + ".py")
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_text(text)
            # Long enough ago for its time to tell each later change.
            os.utime(path, ns=(1, 1))

    def config(self, **more: object) -> Config:
        return Config(root=str(self.folder), invocation_dir=str(self.folder), **more)

    @property
    def modules(self) -> list[TestModule]:
        files = sorted(self.folder.rglob("test_*.py"))
        return [TestModule(path=str(file.relative_to(self.folder))) for file in files]

    def claims(self, **more: object) -> ClaimedPlan:
        self.analysed.clear()
        return claims_of_plan(self.config(**more), self.modules)

    def held(self, **more: object) -> dict[str, list[str]]:
        plan = self.claims(**more)
        paths = [module.path for module in self.modules]
        return {
            path: [f"{claim.resource} {claim.mode}" for claim in own]
            for path, own in plan.held(paths).items()
        }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_who_writes_and_who_reads_the_same_file_hold_it(project: Project) -> None:
    project.write(test_a=WRITES, test_b=READS, test_c=HARMLESS)

    assert project.held() == {
        "test_a.py": ["path:data/x.txt exclusive"],
        "test_b.py": ["path:data/x.txt shared"],
        "test_c.py": [],
    }
    assert project.claims().machine("test_a.py")[0].evidence[0].line == 2


def test_what_is_unchanged_is_looked_up(project: Project) -> None:
    project.write(test_a=WRITES, test_c=HARMLESS)
    first = project.claims()
    second = project.claims()

    assert second == first
    assert project.analysed == []
    assert ClaimsSource(project.config()).known(project.modules) == first


def test_only_those_are_judged_anew_that_can_see_a_change(project: Project) -> None:
    project.write(test_a=WRITES, test_b=CALLS, product=PRODUCT)
    assert project.claims().machine("test_b.py")[0].resource == "path:out.txt"
    project.write(product=PRODUCT.replace("out.txt", "other.txt"))

    assert project.claims().machine("test_b.py")[0].resource == "path:other.txt"
    assert project.analysed == ["test_b.py"]


def test_a_file_that_appears_where_an_import_looks_first_is_a_change(project: Project) -> None:
    project.write(tests__test_b=CALLS, product=PRODUCT)
    assert project.claims().machine("tests/test_b.py")
    project.write(tests__product="def save():\n    pass\n")

    assert not project.claims().machine("tests/test_b.py")
    project.write(tests__conftest=PRODUCT + "\n\nsave()\n")
    assert project.claims().machine("tests/test_b.py")


def test_a_narrower_run_forgets_nothing(project: Project) -> None:
    project.write(test_a=WRITES, test_b=READS)
    project.claims()
    project.write(test_c=HARMLESS)
    claims_of_plan(project.config(), [TestModule(path="test_c.py")])

    project.claims()

    assert project.analysed == []


def test_a_lost_or_spoilt_memory_costs_time_alone(project: Project) -> None:
    project.write(test_a=WRITES)
    first = project.claims()
    for name in ("claims", "facts"):
        file = state.path(state.folder_of(str(project.folder)), name)
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        state.write_atomically(file, b"nothing of the kind")

        assert project.claims() == first


def test_the_configuration_beats_the_analysis(project: Project) -> None:
    project.write(test_a=WRITES, test_b=READS)
    overrides = (
        Override(paths=("test_a.py",), locks=()),
        Override(paths=("test_b.py",), locks=("db",), shared=("catalog",), serial=True),
    )
    plan = project.claims(overrides=overrides)

    assert plan.machine("test_a.py") == ()
    assert {(each.resource, each.mode) for each in plan.machine("test_b.py")} == {
        ("db", Mode.EXCLUSIVE),
        ("catalog", Mode.SHARED),
        ("*", Mode.EXCLUSIVE),
    }
    assert project.claims() != plan
    assert project.claims(overrides=overrides) == plan


def test_marks_are_heard(project: Project) -> None:
    mark = "import pytest\n\n\n@pytest.mark.{}\ndef test_it():\n    pass\n"
    project.write(
        test_a=mark.format("iopio(locks=['db'])"),
        test_b=mark.format("iopio(shared=['db'])"),
        test_c=mark.format("xdist_group('one')"),
        test_d=mark.format("xdist_group(name='one')"),
        test_e=mark.format("xdist_group('other')"),
    )

    assert project.held() == {
        "test_a.py": ["db exclusive"],
        "test_b.py": ["db shared"],
        "test_c.py": ["xdist_group:one exclusive"],
        "test_d.py": ["xdist_group:one exclusive"],
        # Nobody else is of its group.
        "test_e.py": [],
    }


def test_needs_are_units_and_doubtful_ones_are_told(project: Project) -> None:
    mark = "import pytest\n\npytestmark = pytest.mark.iopio(needs={})\n\n\ndef test_it(): ...\n"
    project.write(test_a=mark.format({"gpu": 3}), test_b=mark.format({"desk": 1}))
    plan = project.claims(resources={"gpu": Resource(2)})

    assert plan.held(["test_a.py", "test_b.py"]) == {
        "test_a.py": (Claim("gpu", units=2),),
        "test_b.py": (Claim("desk", units=1),),
    }
    assert [warning.split(",")[0] for warning in plan.warnings] == [
        "test_b.py needs desk",
        "test_a.py needs 3 of gpu",
    ]


def test_a_fault_costs_a_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no way")

    project.write(test_a=WRITES)
    monkeypatch.setattr(claiming, "claims_of", fails)
    plan = claims_of_plan(project.config(), project.modules)
    monkeypatch.setattr(claiming, "python_files", fails)
    other = claims_of_plan(project.config(), project.modules)

    assert plan.claims == other.claims == {}
    assert plan.warnings == (
        "what test_a.py shares is not known, for it could not be analysed: RuntimeError: no way",
    )
    assert "nothing keeps them apart" in other.warnings[0]


def test_who_is_stopped_keeps_the_facts(project: Project) -> None:
    project.write(test_a=WRITES)
    source = ClaimsSource(project.config())
    assert source.known(project.modules) is None
    source.stop()

    with pytest.raises(StoppedError):
        source.analyse(project.modules)
    assert project.claims().machine("test_a.py")


def test_what_does_not_parse_claims_nothing(project: Project) -> None:
    project.write(test_a="def test_it(:\n    open('x', 'w')\n")

    assert project.claims() == ClaimedPlan()
