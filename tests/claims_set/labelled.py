"""The labelled set: small projects as text, each with the claims that its modules should have.

A case begins with ``=== what it shows``; ``--- path`` begins a file, and ``--- expect`` a list of
modules with their claims: ``test_a.py: port:80; path:x shared; cwd process``. A claim is exclusive
and of the machine where nothing else is said. Modules that are not listed claim nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: A claim as labelled: resource, mode and scope.
Label = tuple[str, str, str]


@dataclass
class Case:
    """A small project, and the labels of its modules."""

    theme: str
    title: str
    files: dict[str, str] = field(default_factory=dict)
    expected: dict[str, set[Label]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.theme}: {self.title}"

    @property
    def modules(self) -> list[str]:
        return [path for path in self.files if path.rpartition("/")[2].startswith("test_")]


def read_cases(folder: Path = HERE) -> list[Case]:
    """All cases, in order."""
    cases: list[Case] = []
    for file in sorted(folder.glob("*.txt")):
        lines: list[str] = []
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.startswith("=== "):
                cases.append(Case(file.stem, line[4:].strip()))
                lines = []
            elif line.startswith("--- "):
                lines = []
                path = line[4:].strip()
                if path == "expect":
                    lines = []
                    target: list[str] | None = None
                else:
                    target = lines
                    cases[-1].files[path] = ""
                current = path
            elif current == "expect":
                if line.strip():
                    module, _, labels = line.strip().partition(": ")
                    cases[-1].expected[module] = {_label(each) for each in labels.split("; ")}
            else:
                assert target is not None
                cases[-1].files[current] += line
    return cases


def _label(text: str) -> Label:
    resource, *words = text.split()
    mode = "shared" if "shared" in words else "exclusive"
    scope = "process" if "process" in words else "machine"
    return (resource, mode, scope)
