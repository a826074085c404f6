import unittest


class Case(unittest.TestCase):
    def test_all_pass(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertLess(number, 3)

    def test_one_fails(self):
        for number in range(3):
            with self.subTest("number", number=number):
                self.assertNotEqual(number, 1)

    def test_two_fail(self):
        for number in range(3):
            with self.subTest(number=number):
                self.assertEqual(number, 1)

    def test_one_is_skipped(self):
        with self.subTest("skipped"):
            self.skipTest("not this one")
        with self.subTest("passes"):
            pass

    def test_one_raises(self):
        with self.subTest("raises"):
            raise OSError("no")

    @unittest.expectedFailure
    def test_expected(self):
        with self.subTest("fails"):
            self.fail("inside")

    def test_fails_beside_them(self):
        with self.subTest("passes"):
            pass
        self.fail("beside")


class Fixtures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no class")

    def test_never(self):
        self.fail("never called")

    def test_never_either(self):
        self.fail("never called")


class Bad(unittest.TestCase):
    def tearDown(self):
        raise OSError("no end")

    def test_teardown(self):
        pass

    @unittest.skip("not now")
    def test_skipped(self):
        pass

    @unittest.expectedFailure
    def test_unexpectedly_good(self):
        pass


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def test_awaits(self):
        import asyncio

        await asyncio.sleep(0)

    async def test_fails(self):
        self.fail("awaited")
