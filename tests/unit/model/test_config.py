"""The configuration as a value."""

import msgspec
import pytest

from iopio_async.model.config import Config, ModuleSettings, Override, Shard
from iopio_async.model.module import Framework


def test_two_paths_are_all_that_is_needed():
    config = Config(root="/r", invocation_dir="/r")
    assert (config.workers, config.framework, config.start_method) == (1, "auto", "auto")
    assert (config.timeout_s, config.maxfail, config.retries) == (None, 0, 0)


def test_is_frozen():
    config = Config(root="/r", invocation_dir="/r")
    with pytest.raises(AttributeError):
        config.workers = 2


@pytest.mark.parametrize("missing", ["root", "invocation_dir"])
def test_paths_have_no_default(missing):
    with pytest.raises(TypeError, match=missing):
        Config(**{name: "/r" for name in ("root", "invocation_dir") if name != missing})


def test_tables_are_not_shared_between_configurations():
    first = Config(root="/r", invocation_dir="/r")
    first.env["A"] = "1"
    assert Config(root="/r", invocation_dir="/r").env == {}


def test_survives_encoding():
    config = Config(
        root="/r",
        invocation_dir="/r/x",
        shard=Shard(1, 2),
        timeout_s=1.5,
        env={"A": "1"},
        overrides=(Override(paths=("a",), framework=Framework.UNITTEST, timeout_s=0.0),),
    )
    for codec in (msgspec.json, msgspec.msgpack):
        assert codec.decode(codec.encode(config), type=Config) == config


def test_an_override_leaves_alone_what_it_does_not_name():
    override = Override(paths=("a",))
    named = {field.name for field in msgspec.structs.fields(Override)} - {"paths", "env", "needs"}
    assert {getattr(override, name) for name in named} == {None}
    assert named == {field.name for field in msgspec.structs.fields(ModuleSettings)} - {
        "env",
        "needs",
    }
