"""The coverage of a run: each attempt's data is kept, and all of it is put together at the end.

What an attempt has measured is a folder in its private directory (``wire.contract.COVERAGE_DIR``),
moved beside that directory before it is removed, so that it lives as long as the run's files do. A
result that is to stand for its coverage as well has to store that folder, and :meth:`Coverage.add`
it when it is replayed. A process of the tests' interpreter, where coverage.py is installed,
combines and reports (``worker.coverage``).
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence

import anyio
import msgspec

from iopio_async.model.action import Action
from iopio_async.wire.contract import COVERAGE_DATA, COVERAGE_DIR

#: How much of a complaint is passed on, in characters.
_COMPLAINT_CHARS = 300


class Conclusion(msgspec.Struct, frozen=True):
    """What there is to say at the end.

    ``text`` is the report, ``failed`` says that less is covered than required, ``complaint`` why
    figures are missing or too low.
    """

    text: str = ""
    failed: bool = False
    complaint: str = ""


class Coverage:
    """What the modules of a run have covered."""

    def __init__(
        self, interpreter: Sequence[str], environment: Mapping[str, str], directory: str
    ) -> None:
        self._interpreter = interpreter
        self._environment = environment
        self._directory = directory
        self._folders: list[str] = []
        self._folders_of: dict[str, list[str]] = {}
        #: Modules → whether any attempt at them has left data.
        self._measured: dict[str, bool] = {}

    def keep(self, action: Action, private_dir: str) -> None:
        """An attempt is over and its private directory is about to go: keep what it measured."""
        folder = f"{private_dir}.{COVERAGE_DIR}"
        try:
            os.rename(os.path.join(private_dir, COVERAGE_DIR), folder)
        except OSError:
            return
        self.add(action.path, folder)

    def add(self, path: str, folder: str) -> None:
        """The module at ``path`` has covered what is in ``folder``, which is used up."""
        self._folders.append(folder)
        self._folders_of.setdefault(path, []).append(folder)
        left = any(name.startswith(COVERAGE_DATA) for name in os.listdir(folder))
        self._measured[path] = self._measured.get(path, False) or left

    def folders_of(self, path: str) -> list[str]:
        """The folders with what the module at ``path`` has covered."""
        return list(self._folders_of.get(path, ()))

    async def conclude(self, *, failed: bool) -> Conclusion:
        """Write the project's data file and the reports; ``failed`` says that some test did."""
        if not self._folders:
            return Conclusion()
        order = f"{self._folders[0]}-order.json"
        result = f"{self._folders[0]}-result.json"
        with open(order, "w", encoding="utf-8") as file:  # noqa: ASYNC230 - tiny
            json.dump({"folders": self._folders, "failed": failed}, file)
        ended = await anyio.run_process(
            [*self._interpreter, "-P", "-m", "iopio_async.worker.coverage", order, result],
            check=False,
            input=b"",
            stderr=subprocess.STDOUT,
            cwd=self._directory,
            env=self._environment,
        )
        try:
            with open(result, "rb") as file:  # noqa: ASYNC230 - tiny
                conclusion = msgspec.json.decode(file.read(), type=Conclusion)
        except (OSError, msgspec.DecodeError):
            last = ended.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2]
            complaint = f"the modules' coverage can't be put together: {last[:_COMPLAINT_CHARS]}"
            return Conclusion(complaint=complaint)
        lost = sorted(path for path, left in self._measured.items() if not left)
        if lost:
            complaint = f"coverage is too low: {', '.join(lost[:3])} ended before telling theirs"
            return msgspec.structs.replace(conclusion, complaint=complaint)
        return conclusion
