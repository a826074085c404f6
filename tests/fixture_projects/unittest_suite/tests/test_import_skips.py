"""A module that skips itself."""

import unittest

raise unittest.SkipTest("not on this platform")
