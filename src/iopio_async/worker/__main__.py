"""The process of one attempt: ``python -P -m iopio_async.worker ACTION RESULT LIFELINE``.

The arguments are the file that holds the action, and the numbers of the two descriptors.

Reads its action, tells the orchestrator what happens over the result descriptor, and leaves by
``os._exit`` once threads have ended, exit handlers have run and the streams are flushed: taking the
interpreter apart would only cost time. The exit code is 0 whenever the framework ended in good
order; whether tests failed is said in the stream.
"""

import gc
import importlib
import sys
from pathlib import Path

from iopio_async.errors import ProtocolError
from iopio_async.model.outcome import Failure
from iopio_async.wire.codec import decode_action
from iopio_async.worker import surroundings
from iopio_async.worker.recorder import Recorder

#: Exit code of a worker that could not even begin.
UNUSABLE = 70


def main(arguments: list[str]) -> int:
    """Run one attempt; the exit code of the process."""
    action_file, result_descriptor, lifeline_descriptor = arguments
    surroundings.hold_lifeline(int(lifeline_descriptor))
    recorder = Recorder(surroundings.make_private(int(result_descriptor)))
    try:
        action = decode_action(Path(action_file).read_bytes())
    except (OSError, ProtocolError) as error:
        sys.stderr.write(f"iopio worker: {error}\n")
        return UNUSABLE
    recorder.limits = action.limits
    surroundings.arrange(action)
    framework = importlib.import_module(f"iopio_async.worker.frameworks.{action.framework}")
    try:
        framework.run(action, recorder)
    except BaseException as error:
        if not recorder.owned():
            raise
        recorder.note(_internal(error))
        raise
    return 0


def _internal(error: BaseException) -> Failure:
    import traceback

    return Failure(
        message=f"the test framework broke down: {type(error).__name__}: {error}",
        text="".join(traceback.format_exception(error)),
        phase="session",
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
    surroundings.leave(code)
