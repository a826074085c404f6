"""Rows about which functions of a source file an execution depends on (CPython 3.12 and later).

Each row edits one module that its test imports. The edits of :data:`MATTER` must be noticed on
every version; those of :data:`DO_NOT` must run nothing where functions are told apart, and are no
row's harmless change where they are not.
"""

import sys

from cache_matrix.mutations import Write
from cache_matrix.row import UNRELATED, Row

FUNCTIONS_ARE_TOLD = sys.version_info >= (3, 12)

HELPER = '''\
"""What a module may hold."""
import functools

LIMIT = 1  # a comment

def plain():
    return 1

def unused():
    return 1  # nobody calls it

def wraps(function):
    @functools.wraps(function)
    def wrapper():
        return function() + 0
    return wrapper

@wraps
def decorated():
    return 1 + 0 * 1

@functools.lru_cache
def remembered():
    return 1 + 0 * 2

def positional(value=1):
    return value

def keyword(*, number=1):
    return number

def annotated(value: int = 1) -> int:
    return value + 0

def outer():
    def inner():
        return 1 + 0 * 3
    def idle():
        return 1 + 0 * 4
    return inner() or idle

class Shape:
    size = 1
    kinds = [number for number in range(1, 2)]

    def area(self):
        return 1 + 0 * 5

    def idle(self):
        return 1 + 0 * 6

    @property
    def side(self):
        return 1 + 0 * 7

    @classmethod
    def make(cls):
        return 1 + 0 * 8

    class Inner:
        def depth(self):
            return 1 + 0 * 9

    def __init_subclass__(cls):
        cls.born = 1 + 0 * 10

class Square(Shape):
    pass

def generate():
    yield 1 + 0 * 11

async def wait():
    return 1 + 0 * 12

late = lambda: 1 + 0 * 13

def comprehend():
    return [1 + 0 * 14 for _ in "1"][0]

def documented():
    """One."""

def twice():
    return 0

def twice():
    return 1 + 0 * 15

if LIMIT:
    def conditional():
        return 1 + 0 * 16
else:
    def conditional():
        return 1 + 0 * 17

def raises():
    raise ValueError  # as it must

def prepare():
    return 1 + 0 * 18

PREPARED = prepare()

def __getattr__(name):
    if name == "missing":
        return 1 + 0 * 19
    raise AttributeError(name)
'''

#: Edits that must be noticed: name → (old, new, expression of the test, which is 1 before).
MATTER = {
    "constant": ("LIMIT = 1", "LIMIT = 2", "h.LIMIT"),
    "constant_unseen": ("LIMIT = 1", "LIMIT = 1\nPREPARED = 5", "h.LIMIT"),
    "body": ("return 1\n\ndef unused", "return 2\n\ndef unused", "h.plain()"),
    "decorator_added": ("def plain()", "@(lambda f: lambda: 2)\ndef plain()", "h.plain()"),
    "decorator_removed": ("@wraps\ndef", "def", "len([h.decorated.__wrapped__])"),
    "decorated_body": ("return 1 + 0 * 1\n", "return 2\n", "h.decorated()"),
    "decorator_body": ("    return wrapper", "    return lambda: 2", "h.decorated()"),
    "wrapper_body": ("return function() + 0", "return function() + 1", "h.decorated()"),
    "remembered_body": ("return 1 + 0 * 2\n", "return 2\n", "h.remembered()"),
    "default": ("positional(value=1)", "positional(value=2)", "h.positional()"),
    "default_unexecuted": (
        "positional(value=1)",
        "positional(value=2)",
        "h.positional.__defaults__[0]",
    ),
    "keyword_default": ("(*, number=1)", "(*, number=2)", "h.keyword()"),
    "argument_name": ("(*, number=1)", "(*, value=1, number=2)", "h.keyword()"),
    "annotation": (
        "value: int = 1",
        "value: str = 1",
        "h.annotated.__annotations__['value'] is int",
    ),
    "return_annotation": ("-> int", "-> str", "h.annotated.__annotations__['return'] is int"),
    "nested_body": ("return 1 + 0 * 3\n", "return 2\n", "h.outer()"),
    "class_attribute": ("    size = 1", "    size = 2", "h.Shape.size"),
    "class_attribute_made": ("range(1, 2)", "range(2, 3)", "h.Shape.kinds[0]"),
    "class_base": ("class Square(Shape)", "class Square", "h.Square.size"),
    "method_body": ("return 1 + 0 * 5\n", "return 2\n", "h.Shape().area()"),
    "method_inherited": ("    pass", "    def area(self):\n        return 2", "h.Square().area()"),
    "method_removed": ("    def area(self)", "    def zone(self)", "h.Shape().area()"),
    "property_body": ("return 1 + 0 * 7\n", "return 2\n", "h.Shape().side"),
    "class_method_body": ("return 1 + 0 * 8\n", "return 2\n", "h.Shape.make()"),
    "inner_class_body": ("return 1 + 0 * 9\n", "return 2\n", "h.Shape.Inner().depth()"),
    "subclass_hook": ("cls.born = 1 + 0 * 10", "cls.born = 2", "h.Square.born"),
    "generator_body": ("yield 1 + 0 * 11", "yield 2", "next(h.generate())"),
    "coroutine_body": ("return 1 + 0 * 12\n", "return 2\n", "asyncio.run(h.wait())"),
    "lambda_body": ("lambda: 1 + 0 * 13", "lambda: 2", "h.late()"),
    "comprehension": ("[1 + 0 * 14 for", "[2 for", "h.comprehend()"),
    "docstring": ('"""One."""', '"""Two."""', "h.documented.__doc__ == 'One.'"),
    "module_docstring": ("What a", "Which a", "h.__doc__ == 'What a module may hold.'"),
    "same_name": ("return 1 + 0 * 15\n", "return 2\n", "h.twice()"),
    "same_name_added": (
        "def generate():",
        "def plain():\n    return 2\n\ndef generate():",
        "h.plain()",
    ),
    "conditional": ("return 1 + 0 * 16\n", "return 2\n", "h.conditional()"),
    "function_removed": ("def unused", "def gone", "hasattr(h, 'unused')"),
    "function_shadows_builtin": (
        "def unused",
        "def len(_):\n    return 2\n\ndef unused",
        "getattr(h, 'len', len)('1')",
    ),
    "at_import": ("return 1 + 0 * 18\n", "return 2\n", "h.PREPARED"),
    "module_getattr": ("return 1 + 0 * 19\n", "return 2\n", "h.missing"),
    "in_a_thread": ("return 1\n\ndef unused", "return 2\n\ndef unused", "threaded(h.plain)"),
    "in_a_fork": ("return 1\n\ndef unused", "return 2\n\ndef unused", "forked(h.plain)"),
    "in_a_child": (
        "return 1\n\ndef unused",
        "return 2\n\ndef unused",
        "int(subprocess.run([sys.executable, '-c', CODE], cwd=HERE, capture_output=True).stdout)",
    ),
    "kind_of_function": ("def plain()", "async def plain()", "h.plain()"),
    "source_read": ("# nobody calls it", "# ", "'nobody' in inspect.getsource(h.unused)"),
    "source_of_class_read": (
        "return 1 + 0 * 6",
        "return 2",
        "'0 * 6' in inspect.getsource(h.Shape)",
    ),
    "line_read": ("# a comment", "# ", "'a comment' in linecache.getline(h.__file__, 4)"),
    "traceback_rendered": ("# as it must", "#", "'as it must' in rendered(h.raises)"),
    "file_read": ("# nobody calls it", "#", "'nobody' in open(h.__file__).read()"),
}

#: Edits that run nothing: name → (old, new, expression of the test).
DO_NOT = {
    "comment": ("# a comment", "# another comment", "h.plain()"),
    "blank_line": ("\ndef plain", "\n\n\ndef plain", "h.plain()"),
    "comment_in_body": (
        "    return 1\n\ndef unused",
        "    # Why.\n    return 1\n\ndef unused",
        "h.plain()",
    ),
    "layout": ("return 1\n\ndef unused", "return (\n    1)\n\ndef unused", "h.plain()"),
    "unused_body": ("return 1  # nobody", "return 2  # nobody", "h.plain()"),
    "unused_method": ("return 1 + 0 * 6\n", "return 2\n", "h.Shape().area()"),
    "unused_inner": ("return 1 + 0 * 4\n", "return 2\n", "h.outer()"),
    "unused_inner_class": ("return 1 + 0 * 9\n", "return 2\n", "h.Shape().area()"),
    "unused_branch": ("return 1 + 0 * 17\n", "return 2\n", "h.conditional()"),
    "unused_namesake": ("    return 0\n", "    return 3\n", "h.twice()"),
    "only_imported": ("return 1\n\ndef unused", "return 2\n\ndef unused", "h.LIMIT"),
    "unused_lines_added": (
        "return 1  # nobody",
        "x = 1\n    y = 2\n    return x + y  # nobody",
        "h.prepare()",
    ),
}

HEAD = """\
import asyncio, inspect, linecache, subprocess, threading, traceback, warnings
warnings.simplefilter("ignore")
import helper_ROW as h
CODE = "import helper_ROW as h; print(h.plain())"
def threaded(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]
def forked(function):
    pid = os.fork()
    if not pid:
        os._exit(function())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
def rendered(function):
    try:
        function()
    except ValueError:
        return traceback.format_exc()
"""

#: A second module that imports the same: what several have in common may be loaded ahead of both.
COMPANION = {
    "test_companion_ROW.py": "import helper_ROW as h\ndef test_it():\n    assert h.LIMIT\n"
}
ACCOMPANIED = {"constant", "body", "at_import", "decorated_body", "unused_body", "only_imported"}

#: Edits that don't alter what plain pytest comes to.
INVISIBLE = {"constant_unseen"}


def _edited(old: str, new: str) -> Write:
    assert HELPER.count(old) == 1, old
    return Write("helper_ROW.py", HELPER.replace(old, new))


def _rows() -> list[Row]:
    rows = []
    for name, (old, new, expression) in MATTER.items():
        rows.append(
            Row(
                name=f"function_{name}",
                test=f"{HEAD}def test_it():\n    assert ({expression}) == 1\n",
                files={"helper_ROW.py": HELPER} | (COMPANION if name in ACCOMPANIED else {}),
                change=(_edited(old, new),),
                visible=name not in INVISIBLE,
            )
        )
    for name, (old, new, expression) in DO_NOT.items():
        harmless = (*UNRELATED, _edited(old, new)) if FUNCTIONS_ARE_TOLD else UNRELATED
        rows.append(
            Row(
                name=f"without_effect_{name}",
                test=f"{HEAD}def test_it():\n    assert ({expression}) == 1\n",
                files={"helper_ROW.py": HELPER} | (COMPANION if name in ACCOMPANIED else {}),
                harmless=harmless,
                change=(Write("helper_ROW.py", "1 / 0\n"),),
            )
        )
    return rows


CONFTEST = """\
import pytest
@pytest.fixture
def value():
    return 1
@pytest.fixture
def unused():
    return 1  # nobody asks for it
"""

ROWS: tuple[Row, ...] = (
    *_rows(),
    Row(
        name="function_fixture",
        test="def test_it(value):\n    assert value == 1\n",
        files={"conftest.py": CONFTEST},
        harmless=(
            (*UNRELATED, Write("conftest.py", CONFTEST.replace("1  # nobody", "2  # nobody")))
            if FUNCTIONS_ARE_TOLD
            else UNRELATED
        ),
        change=(Write("conftest.py", CONFTEST.replace("return 1\n", "return 2\n")),),
    ),
)
