"""Tests that leave the process in a bad way, and others that must not notice in the report."""

import builtins
import os
import sys
import time
import unittest
from unittest import mock


class Tampering(unittest.TestCase):
    def test_a_time(self):
        for name in ("time", "perf_counter", "monotonic"):
            setattr(time, name, lambda: -1e9)

    def test_b_write(self):
        os.write = os.fstat = os.getpid = lambda *args: 1 / 0

    def test_c_streams(self):
        sys.stdout = sys.stderr = None

    def test_d_open(self):
        builtins.open = mock.Mock(side_effect=OSError("no more files"))
        self.fail("without its source")

    def test_e_afterwards(self):
        print("still heard")
