"""Writes down what a test sees of its process, to the file that OUTLOOK names."""

import sys

MODULES = sorted(sys.modules)

import faulthandler
import gc
import json
import locale
import os
import resource
import signal
import threading
import warnings

HANDLERS = {
    each.name: repr(signal.getsignal(each))
    for each in signal.Signals
    if signal.getsignal(each) not in (signal.SIG_DFL, None)
}


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def inheritable():
    found = []
    for number in descriptors():
        try:
            if number > 2 and os.get_inheritable(number):
                found.append(number)
        except OSError:
            continue
    return found


def test_outlook(tmp_path, request):
    mask = os.umask(0)
    os.umask(mask)
    tmp_path.joinpath("file").write_text("text")
    with open(0, closefd=False) as standard_input:
        read = standard_input.read()
    main = sys.modules["__main__"]
    seen = {
        "modules": MODULES,
        "argv": sys.argv,
        "path": sys.path,
        "cwd": os.getcwd(),
        "stdin": [read, type(sys.stdin).__name__],
        "environ": dict(os.environ),
        "umask": mask,
        "handlers": HANDLERS,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "descriptors": descriptors(),
        "inheritable": inheritable(),
        "main": main.__name__,
        "gc": [gc.isenabled(), gc.get_threshold()],
        "frozen": gc.get_freeze_count() > 1000,
        "referrers": any(each is sys.modules for each in gc.get_referrers(gc)),
        "filters": [repr(each[:4]) for each in warnings.filters],
        "warnoptions": sys.warnoptions,
        "threads": [each.name for each in threading.enumerate()],
        "leads": [os.getpgid(0) == os.getpid(), os.getsid(0) == os.getpid()],
        "faulthandler": faulthandler.is_enabled(),
        "recursion": sys.getrecursionlimit(),
        "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)],
        "excepthook": sys.excepthook is sys.__excepthook__,
        "finders": [getattr(each, "__name__", type(each).__name__) for each in sys.meta_path],
        "encodings": [sys.getfilesystemencoding(), sys.__stdout__.encoding, sys.__stderr__.errors],
        "locale": locale.setlocale(locale.LC_ALL),
        "utf8": sys.flags.utf8_mode,
        "hash": hash("a text"),
        "switch": sys.getswitchinterval(),
        "profile": [repr(sys.getprofile()), repr(sys.gettrace())],
        "tmp_path": str(tmp_path),
        "root": str(request.config.rootpath),
        "main_thread": [
            threading.current_thread() is threading.main_thread(),
            threading.main_thread().native_id == threading.get_native_id(),
        ],
    }
    with open(os.environ["OUTLOOK"], "w", encoding="utf-8") as file:
        json.dump(seen, file)
