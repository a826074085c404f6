"""Asynchronous test cases, with fixtures of their own."""

import asyncio
import unittest


class Asynchronous(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.loop = asyncio.get_running_loop()
        self.addAsyncCleanup(asyncio.sleep, 0)

    async def asyncTearDown(self):
        self.assertIs(asyncio.get_running_loop(), self.loop)

    async def test_awaits(self):
        await asyncio.sleep(0)

    async def test_fails(self):
        await asyncio.sleep(0)
        self.fail("after a while")

    async def test_skips(self):
        self.skipTest("not yet")

    def test_synchronous(self):
        pass
