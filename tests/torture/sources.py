"""Sources of modules that torture tests write, with the outcomes that they must have."""

import textwrap

BEFORE, AFTER = "def test_before(): pass\n", "\ndef test_after(): pass\n"

#: The outcomes of a module that was lost in its second test of three.
LOST = {"test_before": "passed", "test_it": "failed", "test_after": "not-run"}
ALL_PASSED = {"test_before": "passed", "test_it": "passed", "test_after": "passed"}


def between(body: str, head: str = "import os, signal, sys, threading") -> str:
    """A module of three tests, the second of which does this."""
    return f"{head}\n{BEFORE}def test_it():\n{textwrap.indent(body, '    ')}{AFTER}"
