"""The tests of this module come about at import."""

PROMPT = ">" * 3


def made():
    pass


made.__doc__ = f"{PROMPT} 1 + 1\n2\n"
