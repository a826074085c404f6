"""``python optimized_test_runner.py``: the original command, to be called or copied from here."""

import sys

from iopio_async.dropin.command import main

if __name__ == "__main__":
    sys.exit(main())
