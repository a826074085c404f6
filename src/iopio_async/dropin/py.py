"""What ``python -m optimized_test_runner.py`` runs, as the original's documentation spells it.

``optimized_test_runner`` has this folder as its path, in which ``py`` is a submodule.
"""

import sys

from iopio_async.dropin.command import main

if __name__ == "__main__":
    sys.exit(main())
