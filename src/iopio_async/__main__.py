"""``iopio`` and ``python -m iopio_async``.

As with pytest, the second form also puts the current directory on the tests' ``sys.path``.
"""

import sys


def console_script() -> None:
    """Run the command as installed."""
    sys.exit(_run(cwd_on_path=False))


def _run(*, cwd_on_path: bool) -> int:
    from iopio_async.cli import receipt

    code = receipt.answer(sys.argv[1:], cwd_on_path=cwd_on_path)
    if code is None:
        from iopio_async.cli.main import main

        code = main(sys.argv[1:], cwd_on_path=cwd_on_path)
    return code


if __name__ == "__main__":
    # python -m put the current directory first on the path: the tests get it, iopio itself must
    # not find its own imports there.
    if not sys.flags.safe_path:
        del sys.path[0]
    sys.exit(_run(cwd_on_path=not sys.flags.safe_path))
