"""The process of one attempt: ``python -P -m iopio_async.worker ACTION RESULT LIFELINE``.

The arguments are the file that holds the action, and the numbers of the two descriptors. With
``--serve LEVEL`` in front it is a fork server instead, RESULT is its control socket, and each of
the children that it forks is the process of one attempt.

Reads its action, tells the orchestrator what happens over the result descriptor, and leaves by
``os._exit`` once threads have ended, exit handlers have run and the streams are flushed: taking the
interpreter apart would only cost time. The exit code is 0 whenever the framework ended in good
order; whether tests failed is said in the stream.
"""

import gc
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from iopio_async.errors import ProtocolError
from iopio_async.model.action import Action
from iopio_async.model.outcome import Failure
from iopio_async.wire.codec import decode_action
from iopio_async.worker import surroundings
from iopio_async.worker.recorder import Recorder
from iopio_async.worker.tracing import bytecode
from iopio_async.worker.tracing.record import record

#: Exit code of a worker that could not even begin.
UNUSABLE = 70


def main(arguments: list[str]) -> int:
    """Run one attempt, or serve; the exit code of the process."""
    level = ""
    if arguments[0] == "--serve":
        level, arguments = arguments[1], arguments[2:]
    action_file, channel, lifeline = arguments[0], int(arguments[1]), int(arguments[2])
    surroundings.hold_lifeline(lifeline)
    try:
        action = decode_action(Path(action_file).read_bytes())
    except (OSError, ProtocolError) as error:
        sys.stderr.write(f"iopio worker: {error}\n")
        return UNUSABLE
    bytecode.install(action.root)
    if action.trace:
        from iopio_async.worker.tracing import tracer

        tracer.install(action)
    framework = importlib.import_module(f"iopio_async.worker.frameworks.{action.framework}")
    bytecode.install_for_pytest(action.root)
    surroundings.arrange(action)
    if level:
        return _serve(framework, action, level, channel, lifeline)
    os.close(lifeline)
    recorder = Recorder(surroundings.make_private(channel), action.limits)
    surroundings.keep_stacks(action)
    return _run(framework, action, recorder)


def _run(framework: ModuleType, action: Action, recorder: Recorder) -> int:
    try:
        framework.run(action, recorder)
    except BaseException as error:
        _note(error, recorder)
        raise
    return 0


def _serve(framework: ModuleType, template: Action, level: str, control: int, lifeline: int) -> int:
    """Serve: at ``level``, if the framework has several, and else with nothing started."""
    from iopio_async.worker.server import Server

    server = Server(
        surroundings.make_private(control), surroundings.make_private(lifeline), template
    )
    if not hasattr(framework, "run_from"):
        return _run(framework, *server.born())
    try:
        code = framework.run_from(template, level, server.born)
    except BaseException as error:
        _note(error, server.recorder)
        raise
    if not server.is_child:
        server.unprepared(code)
    return 0


def _note(error: BaseException, recorder: Recorder | None) -> None:
    """Tell the orchestrator that the framework broke down, if this is the process it listens to."""
    if recorder is None or not recorder.owned():
        return
    import traceback

    recorder.note(
        Failure(
            message=f"the test framework broke down: {type(error).__name__}: {error}",
            text="".join(traceback.format_exception(error)),
            phase="session",
        )
    )


if __name__ == "__main__":
    # The collector would walk over a heap that only grows while everything is being imported.
    gc.disable()
    code = 1
    try:
        code = main(sys.argv[1:])
    except SystemExit as leaving:
        code = surroundings.exit_code(leaving)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    record.last()
    surroundings.leave(code)
