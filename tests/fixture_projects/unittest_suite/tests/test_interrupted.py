"""Somebody presses Ctrl-C in the middle."""

import unittest


class Interrupted(unittest.TestCase):
    def test_a_before(self):
        pass

    def test_b_interrupted(self):
        raise KeyboardInterrupt

    def test_c_after(self):
        pass
