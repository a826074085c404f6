"""``iopio`` and ``python -m iopio_async``.

As with pytest, the second form also puts the current directory on the tests' ``sys.path``.
"""

import sys


def console_script() -> None:
    """Run the command as installed."""
    from iopio_async.cli.main import main

    sys.exit(main(sys.argv[1:], cwd_on_path=False))


if __name__ == "__main__":
    # python -m put the current directory first on the path: the tests get it, iopio itself must
    # not find its own imports there.
    if not sys.flags.safe_path:
        del sys.path[0]
    from iopio_async.cli.main import main as run_main

    sys.exit(run_main(sys.argv[1:], cwd_on_path=not sys.flags.safe_path))
