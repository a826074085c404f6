"""What the tracer was installed with, and how a Python program that a test starts is told of it."""

#: Carries it. It begins with ``IOPIO_``, so reading it is never told.
ENVIRONMENT_VARIABLE = "IOPIO_TRACE"


class Settlement:
    """File, root and private directories; whether functions are told, and listings of pytest."""

    def __init__(self) -> None:
        self.file = ""
        self.root = ""
        self.private: tuple[str, ...] = ()
        self.functions = False
        #: The private directories do not lie in a folder of the run's own.
        self.alone = False

    def spelled(self, *, had_path: bool) -> str:
        """As text without NUL; the first character is ``1`` for a ``PYTHONPATH`` before ours."""
        fields = (
            ("functions " if self.functions else "") + ("alone" if self.alone else ""),
            self.file,
            self.root,
            *self.private,
        )
        spelled = "".join(f"{len(field)}:{field}" for field in fields)
        return f"{int(had_path)}{spelled}"

    def take(self, text: str) -> None:
        """Take over what another process has spelled, less the first character.

        Raises:
            ValueError: this is no such text.
        """
        fields = []
        while text:
            length, _, text = text.partition(":")
            fields.append(text[: int(length)])
            text = text[int(length) :]
        words, self.file, self.root, *private = fields
        self.private = tuple(private)
        self.functions, self.alone = "functions" in words, "alone" in words


#: The one of this process.
settlement = Settlement()
