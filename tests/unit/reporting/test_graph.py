"""The graph as text: what each format says, and that names can't break out of it."""

import json

from iopio_async.model.module import Claim, Evidence, Mode
from iopio_async.planning.claims import ModuleClaims
from iopio_async.planning.graph import Graph, graph_of
from iopio_async.reporting import graph as texts

CLAIMS = {
    "test_a.py": ModuleClaims((Claim("db", evidence=(Evidence("test_a.py", 3, "connects"),)),)),
    "test_b.py": ModuleClaims((Claim("db", Mode.SHARED),)),
    "test_c.py": ModuleClaims(needs=(("gpu", 1),)),
}
GRAPH = graph_of(CLAIMS, {"gpu": 2})


def test_the_tree() -> None:
    assert texts.tree(GRAPH, unicode=True) == (
        "db\n├─ test_a.py (exclusive)\n└─ test_b.py (shared)\n"
        "gpu (capacity 2)\n└─ test_c.py (1 unit)\n"
    )
    assert texts.tree(GRAPH, unicode=False).isascii()
    assert texts.tree(Graph(uses=()), unicode=True).startswith("nothing is shared")


def test_a_module_with_its_evidence_and_conflicts() -> None:
    assert texts.of_module(GRAPH, "test_a.py", unicode=False) == (
        "test_a.py\nclaims\n  db (exclusive)\n    test_a.py:3: connects\n"
        "can't overlap with\n  `- test_b.py: db\n"
    )
    assert texts.of_module(GRAPH, "test_c.py", unicode=False).endswith(
        "may overlap with all others\n"
    )
    assert texts.of_module(GRAPH, "test_d.py", unicode=False) == (
        "test_d.py: claims nothing, and may overlap with all others\n"
    )


def test_mermaid() -> None:
    assert texts.mermaid(GRAPH) == (
        "flowchart LR\n"
        '  r0[("db")]\n  r1[("gpu")]\n'
        '  m0["test_a.py"]\n  m1["test_b.py"]\n  m2["test_c.py"]\n'
        "  m0 -->|exclusive| r0\n  m1 -.->|shared| r0\n  m2 -->|1 unit| r1\n"
    )


def test_dot() -> None:
    text = texts.dot(GRAPH)

    assert text.startswith("digraph iopio {\n")
    assert '  m1 -> r0 [label="shared", style=dashed];\n' in text
    assert text.endswith("}\n")


def test_json() -> None:
    about = json.loads(texts.as_json(GRAPH))

    assert [each["name"] for each in about["resources"]] == ["db", "gpu"]
    assert about["resources"][0]["claims"][0] == {
        "module": "test_a.py",
        "mode": "exclusive",
        "units": None,
        "evidence": [{"path": "test_a.py", "line": 3, "why": "connects"}],
    }
    assert about["conflicts"]["test_a.py"] == [{"module": "test_b.py", "resources": ["db"]}]
    only = json.loads(texts.as_json(GRAPH, "test_c.py"))
    assert [each["name"] for each in only["resources"]] == ["gpu"]
    assert only["conflicts"] == {}


def test_names_can_not_break_out() -> None:
    name = 'a"]\n; } \x1b[31m \udcff'
    graph = graph_of({name: ModuleClaims((Claim(name),)), "b": ModuleClaims((Claim(name),))}, {})
    whole = [texts.mermaid(graph), texts.dot(graph), texts.as_json(graph)]

    for text in (*whole, texts.tree(graph, unicode=True)):
        assert "\x1b" not in text
        text.encode()
    assert '"]' not in whole[0].replace('"]\n', "").replace('")]\n', "")
    assert 'a\\"]' in whole[1]
    assert len(texts.dot(graph).splitlines()) == 8


def test_a_part_shows_a_module_and_its_rivals() -> None:
    part = texts.part_of(GRAPH, "test_a.py")

    assert {use.module for use in part.uses} == {"test_a.py", "test_b.py"}
    assert set(part.by_resource) == {"db"}
