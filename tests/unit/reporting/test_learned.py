"""What was learned, as text and as JSON."""

import json

from iopio_async.planning.learned import Learned, Use
from iopio_async.reporting.learned import LearnedUse, Standing, as_json, tree

USES = {
    "path:x\x1b": [
        LearnedUse(
            module="a.py", learned=Learned(Use.WROTE, "1", unseen=2), standing=Standing.LEARNED
        ),
        LearnedUse(module="b.py", learned=Learned(Use.READ, "1"), standing=Standing.DECLARED),
    ],
    "port:1": [
        LearnedUse(module="a.py", learned=Learned(Use.BOUND, "1"), standing=Standing.KNOWN),
    ],
}


def test_a_tree() -> None:
    assert tree(USES, unicode=False) == (
        "path:x\\x1b\n"
        "|- a.py wrote it, but not in its last 2 executions\n"
        "`- b.py read it (what it shares is declared)\n"
        "port:1\n"
        "`- a.py bound it (its source tells, too)\n"
    )


def test_nothing() -> None:
    assert tree({}, unicode=True).startswith("nothing was learned")
    assert json.loads(as_json({})) == {"learned": []}


def test_json() -> None:
    first, second = json.loads(as_json(USES))["learned"]
    assert first["users"][0] == {
        "module": "a.py",
        "use": "wrote",
        "unseen": 2,
        "standing": "learned",
    }
    assert [each["standing"] for each in first["users"]] == ["learned", "declared"]
    assert second["resource"] == "port:1"
