"""A key is another one as soon as anything differs that a trace does not hold."""

import os
from collections.abc import Iterator

import msgspec
import pytest

from iopio_async.cache.entries import is_digest
from iopio_async.model.action import Action
from iopio_async.model.config import CacheRules
from iopio_async.model.module import Framework, ModuleKind
from iopio_async.orchestration.keys import KeyMaker

ACTION = Action(path="tests/test_a.py", root="/project", invocation_dir="/project")

#: What is executed, or where, in another way.
OTHERS: dict[str, object] = {
    "path": "tests/test_b.py",
    "root": "/elsewhere",
    "invocation_dir": "/project/tests",
    "framework": Framework.UNITTEST,
    "kind": ModuleKind.REMAINDER,
    "arguments": ("-x",),
    "selectors": ("tests/test_a.py::test_x",),
    "known_paths": ("tests/test_b.py",),
    "keyword": "x",
    "import_root": "/project/src",
    "cwd_on_path": True,
    "schema_version": 0,
}

#: How it is executed, which makes no difference to a result that passes.
INDIFFERENT: dict[str, object] = {
    "private_dir": "/tmp/private",
    "part": ("tests/test_a.py::test_x",),
    "batch": ("tests/test_a.py", "tests/test_b.py"),
    "maxfail": 3,
    "trace": "/tmp/trace",
}


NO_RULES = CacheRules()


def make(interpreter: str = "i", environment: str = "e", rules: CacheRules = NO_RULES) -> KeyMaker:
    return KeyMaker(interpreter, environment, rules)


def test_a_key_is_a_digest_and_always_the_same() -> None:
    assert make().key(ACTION, ()) == make().key(ACTION, ())
    assert is_digest(make().key(ACTION, ()))


@pytest.mark.parametrize("field", OTHERS)
def test_another_action_has_another_key(field: str) -> None:
    other = msgspec.structs.replace(ACTION, **{field: OTHERS[field]})
    assert make().key(other, ()) != make().key(ACTION, ())


@pytest.mark.parametrize("field", INDIFFERENT)
def test_how_it_is_executed_is_no_part_of_the_key(field: str) -> None:
    other = msgspec.structs.replace(ACTION, **{field: INDIFFERENT[field]})
    assert make().key(other, ()) == make().key(ACTION, ())


@pytest.mark.parametrize(
    "maker",
    [
        make(interpreter="j"),
        make(environment="f"),
        make(rules=CacheRules(inputs=("data/*",))),
        make(rules=CacheRules(ignore=("data/*",))),
        make(rules=CacheRules(ignore_env=("X",))),
        make(rules=CacheRules(hosts=("db",))),
    ],
)
def test_another_world_has_another_key(maker: KeyMaker) -> None:
    assert maker.key(ACTION, ()) != make().key(ACTION, ())


def test_variables_on_top_are_part_of_the_key() -> None:
    keys = {
        make().key(ACTION, env)
        for env in ((), (("A", "1"),), (("A", "2"),), (("A", "1"), ("B", "1")), (("A1", ""),))
    }
    assert len(keys) == 5


@pytest.fixture
def _umask_comes_back() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


@pytest.mark.usefixtures("_umask_comes_back")
def test_the_umask_is_part_of_the_key_and_stays_as_it_is() -> None:
    before = make().key(ACTION, ())
    os.umask(0o027)
    assert make().key(ACTION, ()) != before
    assert os.umask(0o027) == 0o027
