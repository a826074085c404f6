"""No test in here."""

import unittest


class Helper(unittest.TestCase):
    pass
