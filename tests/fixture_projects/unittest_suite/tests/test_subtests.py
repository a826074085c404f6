"""Sub-tests: a failing one is told neither as the success nor as the failure of its test."""

import unittest


class Subtests(unittest.TestCase):
    def test_all_pass(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertLess(number, 3)

    def test_one_fails(self):
        for number in range(3):
            with self.subTest("is it one?", number=number):
                self.assertNotEqual(number, 1)

    def test_one_raises(self):
        for number in range(3):
            with self.subTest(number=number):
                1 // number  # noqa: B018

    def test_one_is_skipped(self):
        for number in range(3):
            with self.subTest(number=number):
                if number == 1:
                    self.skipTest("odd")

    def test_fails_beside_them(self):
        with self.subTest("first"):
            self.fail("inside")
        self.fail("outside")

    @unittest.expectedFailure
    def test_one_fails_as_expected(self):
        with self.subTest("inside"):
            self.fail("expected")

    def test_nested(self):
        with self.subTest("outer", a=1), self.subTest("inner", b=2):
            self.fail("deep")
