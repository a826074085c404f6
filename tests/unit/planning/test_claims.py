"""A module's claims: the labelled set, and what its cases don't say."""

import sys
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.analysis.claims import read_facts, tells
from iopio_async.analysis.facts import Declaration, FileFacts
from iopio_async.analysis.rule_table import DEFAULT_TABLE, RuleTable
from iopio_async.analysis.rules import Rule
from iopio_async.model.module import Claim, Evidence, Mode, Reach
from iopio_async.planning.claims import ALONE, ModuleClaims, claims_of
from iopio_async.planning.sources import Sources, glimpsed_imports
from iopio_async.planning.spread import binding, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "claims_set"))

from labelled import Case, read_cases

CASES = read_cases()

#: Cases that the rules are known not to judge as a careful reader would, with the reason.
KNOWN_GAPS: dict[str, str] = {}


def sources_of(files: dict[str, str], table: RuleTable = DEFAULT_TABLE) -> Sources:
    encoded = {path: text.encode() for path, text in files.items()}
    return Sources(
        encoded,
        lambda path: read_facts(encoded[path], table),
        tells=lambda path: tells(encoded[path], table),
        imports_of=lambda path: glimpsed_imports(encoded[path]),
    )


@pytest.mark.parametrize("case", [pytest.param(each, id=each.name) for each in CASES])
def test_the_labelled_set(case: Case) -> None:
    if case.name in KNOWN_GAPS:
        pytest.xfail(KNOWN_GAPS[case.name])
    sources = sources_of(case.files)
    found = {
        module: {
            (claim.resource, claim.mode.value, claim.scope.value)
            for claim in claims_of(sources, module).claims
        }
        for module in case.modules
    }
    assert found == {module: case.expected.get(module, set()) for module in case.modules}


def test_the_labelled_set_is_large() -> None:
    assert sum(len(case.files) for case in CASES) >= 120


BOUND = {
    "tests/conftest.py": (
        "import pytest, socket\n"
        "@pytest.fixture\n"
        "def server():\n"
        "    socket.socket().bind(('', 8080))\n"
    ),
    "tests/test_it.py": "def test_it(server):\n    open('/tmp/x', 'w')\n",
    "tests/test_else.py": "def test_else():\n    pass\n",
}


def test_evidence_names_the_place_and_why() -> None:
    claims = claims_of(sources_of(BOUND), "tests/test_it.py").claims
    assert [str(each) for claim in claims for each in claim.evidence] == [
        "tests/test_it.py:2: opens a file",
        "tests/conftest.py:4: binds a fixed address",
    ]


def test_the_configuration_beats_a_rule() -> None:
    sources = sources_of(BOUND)
    declared = [Declaration(0, locks=("lab",))]
    assert claims_of(sources, "tests/test_it.py", declared=declared) == ModuleClaims(
        (
            Claim(
                "lab",
                evidence=(Evidence("tests/test_it.py", 0, "declared by the configuration"),),
            ),
        ),
        declared=True,
    )


def test_a_resource_with_a_capacity_is_a_need() -> None:
    files = {"test_gpu.py": "import cupy\ndef test_it():\n    cupy.ones(1)\n"}
    found = claims_of(sources_of(files), "test_gpu.py", capacities={"gpu": 2})
    assert (found.claims, found.needs) == ((), (("gpu", 1),))


def test_rows_can_be_added() -> None:
    table = RuleTable([Rule("lab:Arm", "name", resource="robot-arm", why="moves the arm")])
    files = {"test_arm.py": "import lab\ndef test_it():\n    lab.Arm().lift()\n"}
    claims = claims_of(sources_of(files, table), "test_arm.py").claims
    assert [claim.resource for claim in claims] == ["robot-arm"]
    assert claims_of(sources_of(files), "test_arm.py").claims == ()
    assert table.digest != DEFAULT_TABLE.digest


def test_files_that_tell_nothing_are_not_parsed() -> None:
    encoded = {"test_a.py": b"import b\ndef test_it():\n    assert b.x\n", "b.py": b"x = 1\n"}
    parsed: list[str] = []

    def facts_of(path: str) -> FileFacts:
        parsed.append(path)
        return read_facts(encoded[path])

    sources = Sources(
        encoded,
        facts_of,
        tells=lambda path: tells(encoded[path]),
        imports_of=lambda path: glimpsed_imports(encoded[path]),
    )
    assert claims_of(sources, "test_a.py") == ModuleClaims()
    assert parsed == []


def test_files_that_import_each_other_end() -> None:
    files = {
        "a.py": "import b\nX = b.Y\nclass A(b.B): pass\ndef f(p=X):\n    b.g(p)\n",
        "b.py": "import a\nY = a.X\nclass B(a.A): pass\ndef g(p):\n    a.f(p)\n    open(p, 'w')\n",
        "test_a.py": "import a\nclass TestA(a.A):\n    def test_it(self):\n        a.f('/tmp/q')\n",
    }
    claims = claims_of(sources_of(files), "test_a.py").claims
    assert [claim.resource for claim in claims] == ["path:/tmp/q"]


def test_a_folder_meets_the_files_in_it() -> None:
    claims = {
        "removes": (Claim("path:out"),),
        "one": (Claim("path:out/1"),),
        "two": (Claim("path:out/2", Mode.SHARED),),
        "beside": (Claim("path:output"),),
    }
    found = spread(claims)
    assert {claim.resource for claim in found["removes"]} == {
        "path:out",
        "path:out/1",
        "path:out/2",
    }
    assert found["one"] == claims["one"]
    assert found["beside"] == claims["beside"]
    assert binding(found)["beside"] == ()


def test_a_module_that_runs_alone_excludes_all() -> None:
    found = spread({"alone": (Claim(ALONE),), "other": ()})
    assert found == {
        "alone": (Claim(ALONE),),
        "other": (Claim(ALONE, Mode.SHARED, Reach.MACHINE),),
    }


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(
    lambda parts: "path:" + "/".join(parts)
)
CLAIMS = st.dictionaries(
    st.sampled_from(["m1", "m2", "m3"]),
    st.lists(st.builds(Claim, NAMES, st.sampled_from(Mode)), max_size=3).map(tuple),
)


def overlap(some: str, other: str) -> bool:
    return some == other or some.startswith(f"{other}/") or other.startswith(f"{some}/")


def conflict(some: tuple[Claim, ...], others: tuple[Claim, ...], *, by_name: bool) -> bool:
    return any(
        (one.resource == two.resource if by_name else overlap(one.resource, two.resource))
        and Mode.EXCLUSIVE in {one.mode, two.mode}
        for one in some
        for two in others
    )


@given(CLAIMS)
def test_spread_claims_conflict_by_name_exactly_where_places_overlap(
    claims: dict[str, tuple[Claim, ...]],
) -> None:
    named = binding(spread(claims))
    for (one, own), (two, others) in permutations(claims.items(), 2):
        assert conflict(named[one], named[two], by_name=True) == conflict(
            own, others, by_name=False
        )
