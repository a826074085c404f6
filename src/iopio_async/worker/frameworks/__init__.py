"""Adapters: one test framework's callbacks → the recorder's messages.

Each module here offers ``run(action, recorder) -> int``: it collects and runs the module that the
action names, tells the recorder the plan and every outcome, and returns the framework's exit code
(pytest's vocabulary: 0 passed, 1 tests failed, 2 interrupted, 3 internal error, 4 usage, 5 no
tests). It never raises for something that the tests did.
"""
