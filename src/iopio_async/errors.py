"""Errors, sorted by who must act on them.

Every error that iopio raises on purpose derives from :class:`IopioError`. Its message is in lower
case and says what failed, on what, and (in ``hint``) what to do about it. The command line turns
each class into one exit code; nothing else in the code base knows exit codes by number.
"""


class IopioError(Exception):
    """Base of all deliberate errors.

    ``message`` says what failed and on what; ``hint`` is one more line on what to do, or ``""``.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class UsageError(IopioError):
    """The person at the keyboard must act: an option, a path or a combination is wrong."""


class ConfigurationError(UsageError):
    """The owner of a configuration file must act.

    ``where`` is ``file:line``, the name of an environment variable or an option.
    """

    def __init__(self, message: str, *, where: str, hint: str = "") -> None:
        super().__init__(f"{where}: {message}", hint=hint)
        self.where = where


class InfrastructureError(IopioError):
    """The machine must be looked at: a process, a descriptor or a disk could not be had."""


class ProtocolError(IopioError):
    """A worker's stream is not what a worker writes: its module can't be trusted to have passed."""
