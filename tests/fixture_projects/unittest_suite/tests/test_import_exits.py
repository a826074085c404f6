"""A module that tries to leave with success."""

import sys

sys.exit(0)
