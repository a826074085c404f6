"""Which interpreter the tests run in."""

import os
import sys

import pytest

from iopio_async.project.digests import Digests
from iopio_async.project.interpreter import identity, standard_library


def test_the_identity_changes_with_what_changes_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    digests = Digests()
    seen = {identity(digests)}
    assert identity(digests) in seen
    for name, value in {
        "version": "4.0",
        "warnoptions": ["error"],
        "_xoptions": {"utf8": True},
        "executable": os.devnull,
        "prefix": "/elsewhere",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, value)
            seen.add(identity(digests))

    assert len(seen) == 6


def test_the_standard_library_is_found_also_by_its_real_name() -> None:
    found = standard_library()

    assert os.path.dirname(os.__file__) in found
    assert os.path.realpath(os.path.dirname(os.__file__)) in found
    assert any(path.endswith(".zip") for path in found)
