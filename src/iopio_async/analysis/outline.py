"""The outline of a test module: which kinds of tests it holds, and about how many.

It serves to choose a framework, for hundreds of modules before anything runs; so a source is read
line by line and not parsed, which is ten times as fast and takes broken sources as they come. The
price: definitions that an ``if`` indents are not seen, those in a multi-line string are. A class
counts as a unittest one where a base leads to a ``TestCase`` within the module or comes from
elsewhere, since test classes that inherit are nearly always of that kind.
"""

import re

import msgspec

_DEFINITION = re.compile(
    rb"^(?:"
    rb"(?P<indent>[ \t]+)(?:async[ \t]+)?def[ \t]+test\w*"
    rb"|(?:async[ \t]+)?def[ \t]+(?P<function>\w+)[ \t]*\([ \t]*(?P<bare>\))?"
    rb"|class[ \t]+(?P<class>\w+)[ \t]*(?:\((?P<bases>[^)]{0,2000})\))?"
    rb"|(?P<pytest>(?:import|from)[ \t]+pytest\b)"
    rb")",
    re.MULTILINE,
)


class Outline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a module holds.

    ``functions`` are test functions at module level, of which ``bare_functions`` take no
    arguments; ``plain_classes`` are test classes that unittest does not know; ``tests`` are all
    test functions and methods together, before any parametrisation.
    """

    unittest_classes: int = 0
    plain_classes: int = 0
    functions: int = 0
    bare_functions: int = 0
    tests: int = 0
    imports_pytest: bool = False
    load_tests: bool = False

    @property
    def beyond_unittest(self) -> bool:
        """True where unittest alone would miss something, or pytest is used by name."""
        return bool(self.imports_pytest or self.functions or self.plain_classes)


class _Class:
    """A class while its lines pass by."""

    __slots__ = ("bases", "indent", "is_unittest", "methods", "name")

    def __init__(self, name: bytes, bases: list[bytes], *, is_unittest: bool) -> None:
        self.name = name
        self.bases = bases
        self.is_unittest = is_unittest
        self.indent: bytes | None = None
        self.methods = 0

    @property
    def holds_tests(self) -> bool:
        """True for a class from which tests are taken; it may have inherited them all."""
        if self.is_unittest and any(base.endswith(b"TestCase") for base in self.bases):
            return True
        signs = [self.name.startswith(b"Test"), self.is_unittest, self.methods > 0]
        return sum(signs) >= 2


def outline(source: bytes) -> Outline:
    """The outline of a module's source; never raises, whatever the bytes are."""
    functions = bare_functions = 0
    imports_pytest = load_tests = False
    classes: dict[bytes, _Class] = {}
    current: _Class | None = None
    for found in _DEFINITION.finditer(source):
        if found["indent"] is not None:
            if current is not None:
                # What is indented further is a function within a method.
                current.indent = current.indent or found["indent"]
                current.methods += current.indent == found["indent"]
        elif found["class"] is not None:
            current = _class(found["class"], found["bases"] or b"", classes)
            classes[current.name] = current
        elif found["pytest"] is not None:
            imports_pytest = True
        else:
            current = None
            load_tests |= found["function"] == b"load_tests"
            if found["function"].startswith(b"test"):
                functions += 1
                bare_functions += found["bare"] is not None
    # A plain class that a unittest class of the module inherits from only lends it its methods.
    lent = {base for each in classes.values() if each.is_unittest for base in each.bases}
    holding = [
        each
        for each in classes.values()
        if each.holds_tests and (each.is_unittest or each.name not in lent)
    ]
    unittest_classes = sum(each.is_unittest for each in holding)
    return Outline(
        unittest_classes=unittest_classes,
        plain_classes=len(holding) - unittest_classes,
        functions=functions,
        bare_functions=bare_functions,
        tests=functions + sum(each.methods for each in holding),
        imports_pytest=imports_pytest,
        load_tests=load_tests,
    )


def _class(name: bytes, bases: bytes, classes: dict[bytes, _Class]) -> _Class:
    # Keywords such as a metaclass are no bases.
    named = [base.strip() for base in bases.split(b",") if base.strip() and b"=" not in base]
    is_unittest = any(
        classes[base].is_unittest if base in classes else base != b"object" for base in named
    )
    return _Class(name, named, is_unittest=is_unittest)
