"""The spawn start method: a fresh ``python -m iopio_async.worker`` for each attempt."""

from iopio_async.execution.attempt import ProcessAttempt
from iopio_async.execution.executor import ProcessExecutor
from iopio_async.execution.ports import Placement
from iopio_async.model.action import Action


class SpawnExecutor(ProcessExecutor):
    """Starts each attempt as a fresh interpreter."""

    async def _launch(self, attempt: ProcessAttempt, action: Action, placement: Placement) -> None:
        action_file = self.write_action(attempt.directory, action)
        result, stdout, stderr = attempt.open_pipes()
        pid = self.start_worker(
            (action_file, str(result), str(self.lifeline)),
            (result,),
            stdout=stdout,
            stderr=stderr,
            cwd=action.invocation_dir,
            env={
                **self.shared_environment(placement),
                **self.own_environment(attempt.directory, attempt.cookie, placement),
            },
        )
        attempt.began(pid, result, stdout, stderr)
