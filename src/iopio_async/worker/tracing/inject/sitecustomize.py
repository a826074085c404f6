"""Run by a Python program that a traced test started: installs the tracer, and takes itself away.

Environment, search path and loaded modules are afterwards as they would have been, and the real
``sitecustomize``, if there is one, is run. See ``worker.tracing.processes``.
"""

import os
import sys


def _trace() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    told = os.environ.pop("IOPIO_TRACE", "")
    python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if python_path[:1] == [folder]:
        if told.startswith("1"):
            os.environ["PYTHONPATH"] = os.pathsep.join(python_path[1:])
        else:
            del os.environ["PYTHONPATH"]
    while folder in sys.path:
        sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    if told:
        _install(os.path.dirname(os.path.dirname(os.path.dirname(folder))), told[1:])


def _install(package: str, told: str) -> None:
    # The packages' own code is not needed, and would load more than the program may expect.
    before = set(sys.modules)
    for name, path in (
        ("iopio_async", package),
        ("iopio_async.wire", f"{package}/wire"),
        ("iopio_async.worker", f"{package}/worker"),
    ):
        module = type(sys)(name)
        module.__path__ = [path]
        sys.modules[name] = module
    try:
        from iopio_async.worker.tracing import bytecode, tracer
        from iopio_async.worker.tracing.settlement import settlement
    finally:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "iopio_async":
                del sys.modules[name]
    settlement.take(told)
    bytecode.install(settlement.root)
    tracer.begin(create=False)


_trace()
del sys.modules["sitecustomize"]
try:
    __import__("sitecustomize")
except ImportError as error:
    if error.name == "sitecustomize":
        # ``site`` takes this for the absence of the module, and nothing is left of this one.
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize") from None
    raise
