"""Traced modules are forked from servers that have their first imports done, as untraced ones are.

Such a server has a trace of its own; what it imports is told there, and belongs to each child.
"""

import os
import sys
from pathlib import Path

import anyio

from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.forkserver import ForkserverExecutor
from iopio_async.execution.ports import Placement
from iopio_async.model.action import Action
from iopio_async.model.outcome import Outcome
from iopio_async.wire import observations as wire
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.contract import TRACE_FILE

RUN_ID = f"branches-{os.getpid()}"

#: No run of these takes longer, on however busy a machine.
GIVEN_UP_S = 120.0

FILES = {
    "helper.py": "open('data.txt').close()\ndef early():\n    return 1\nearly()\n",
    "data.txt": "data",
    "test_one.py": "import helper\ndef test():\n    assert helper.early() == 1\n",
    "test_two.py": "import helper\ndef test():\n    assert helper\n",
}

Records = list[tuple[bytes, tuple[bytes, ...]]]


def _files(data: bytes) -> list[Records]:
    """The records of a trace, and of those that it includes, from the innermost on."""
    records, complete = wire.decode(data)
    assert complete
    found: list[Records] = []
    for letter, (file, length, *_) in ((one, (*all_, b"", b"")) for one, all_ in records):
        if letter == wire.INCLUDE:
            found += _files(Path(os.fsdecode(file)).read_bytes()[: int(length)])
    return [*found, records]


def test_modules_are_forked_from_branches(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    for name, text in FILES.items():
        root.joinpath(name).write_text(text)
    environment = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("IOPIO", "PYTEST", "COV", "PYTHONPATH"))
    } | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    source = str(Path(sys.modules["iopio_async"].__file__ or "").parents[1])
    settings = ExecutorSettings(environment={**environment, "PYTHONPATH": source})
    placement = Placement(
        run_id=RUN_ID,
        slot=0,
        attempt=1,
        timeout_s=GIVEN_UP_S,
        preload=((str(root), "helper"),),
    )
    traces: list[list[Records]] = []
    outcomes: list[Outcome | None] = []

    async def run() -> None:
        with anyio.fail_after(GIVEN_UP_S):
            async with ForkserverExecutor(RUN_ID, settings) as executor:
                for path in ("test_one.py", "test_two.py"):
                    certificate = Certificate()
                    async with executor.start(_action(root, path), placement) as attempt:
                        async for batch in attempt.messages():
                            for message, body in batch:
                                certificate.accept(message, body)
                        traces.append(_files(attempt.private_file(TRACE_FILE)))
                    outcomes.extend(certificate.outcomes)
                assert executor.doubts == []

    anyio.run(run)
    assert outcomes == [Outcome.PASSED, Outcome.PASSED]
    helper, data = (os.fsencode(root / name) for name in ("helper.py", "data.txt"))
    for trunk, branch, own in traces:
        assert (wire.SOURCE, (helper,)) in branch
        assert (wire.READ, (data,)) in branch
        if sys.version_info >= (3, 12):
            assert (wire.CODE, (helper, b"early", b"2")) in branch
        for other in (trunk, own):
            assert not any(helper in fields or data in fields for _, fields in other)


def _action(root: Path, path: str) -> Action:
    return Action(
        path=path,
        root=str(root),
        invocation_dir=str(root),
        arguments=("-p", "no:cacheprovider"),
        cwd_on_path=True,
        trace=TRACE_FILE,
        trace_functions=True,
    )
