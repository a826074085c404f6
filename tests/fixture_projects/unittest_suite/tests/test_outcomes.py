"""Each way in which a single test can end."""

import sys
import unittest


class Plain(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(1 + 1, 2)

    def test_fails(self):
        self.assertEqual(1 + 1, 3)

    def test_fails_with_bare_assert(self):
        total = 1 + 1
        assert total == 3

    def test_raises(self):
        raise ValueError("no such luck\nand no second line in the message")

    def test_exits(self):
        sys.exit(0)

    def test_skips_itself(self):
        self.skipTest("not today")

    @unittest.skip("by decorator")
    def test_skipped(self):
        raise AssertionError

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail("expected")

    @unittest.expectedFailure
    def test_passes_unexpectedly(self):
        pass

    def test_cleanup_raises(self):
        self.addCleanup(lambda: 1 / 0)

    def test_skips_itself_but_cleanup_raises(self):
        self.addCleanup(lambda: 1 / 0)
        self.skipTest("too late")

    def test_returns_normally_after_closing_stdout(self):
        sys.stdout.close()


@unittest.skip("the whole class")
class SkippedClass(unittest.TestCase):
    def test_one(self):
        raise AssertionError

    def test_two(self):
        raise AssertionError


class SetUpRaises(unittest.TestCase):
    def setUp(self):
        raise RuntimeError("setUp")

    def test_never_called(self):
        raise AssertionError


class SetUpSkips(unittest.TestCase):
    def setUp(self):
        raise unittest.SkipTest("nothing here")

    def test_never_called(self):
        raise AssertionError


class TearDownRaises(unittest.TestCase):
    def tearDown(self):
        raise RuntimeError("tearDown")

    def test_fails_before(self):
        self.fail("first")

    def test_passes_before(self):
        pass


class Base(unittest.TestCase):
    __test__ = True

    def test_inherited(self):
        self.assertIsInstance(self, Base)


class Derived(Base):
    class Inner(unittest.TestCase):
        """Nested classes are not loaded by unittest."""

        def test_unseen(self):
            raise AssertionError


def make_class():
    class Local(unittest.TestCase):
        def test_made(self):
            pass

    return Local


Made = make_class()


class WithoutMethods(unittest.TestCase):
    def runTest(self):
        pass
