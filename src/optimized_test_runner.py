"""The original command's name for :mod:`iopio_async.dropin.command`.

PYTEST_DONT_REWRITE: it may be imported before pytest is.
"""

import sys

import iopio_async.dropin
from iopio_async.dropin.command import main

#: With a path it can have a submodule ``py``: ``python -m optimized_test_runner.py`` runs that one.
__path__ = iopio_async.dropin.__path__

if __name__ == "__main__":
    sys.exit(main())
