"""The pytest plugin: single tests replayed, and timed from session to session, in plain pytest.

Registered by the entry point ``iopio``. It only adds its options, until one of them is given; what
these need is imported then.

=================  ===============================================================================
part               what it is
=================  ===============================================================================
``replay``         ``--cache-tests``: the hooks; who is replayed, who is traced, who is stored
``attribution``    segments of the session's trace ↔ the tests that depend on them
``importing``      which module was asked for by whom, while the process shares all of them
``world``          what stored results depend on, as it is now
``records``        what is stored of a file's tests
``selection``      which options of pytest decide what a test does
=================  ===============================================================================
"""

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("iopio", "iopio: results and durations of earlier sessions")
    group.addoption(
        "--cache-tests",
        action="store_true",
        help="replay the results of tests of which nothing has changed since they passed",
    )
    group.addoption(
        "--cache-dir",
        metavar="DIR",
        help="where results are kept (default: .test_cache in the root directory)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin to trace before the first file of the project is read."""
    if not early_config.known_args_namespace.cache_tests or os.environ.get("IOPIO_SLOT"):
        return
    from iopio_async.pytest_plugin import replay

    replay.begin(early_config)
