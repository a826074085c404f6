"""What single statements touch: the rules of the table applied to calls and assignments."""

import ast
import sys
from collections.abc import Iterator, Mapping

from iopio_async.analysis.commands import reached_by, split_command
from iopio_async.analysis.conventions import DEVICE, DEVICE_PACKAGES, MOVING, URL_KEYS
from iopio_async.analysis.declarations import patched
from iopio_async.analysis.facts import ITEM, Call, Touch
from iopio_async.analysis.rule_table import RuleTable
from iopio_async.analysis.rules import RECEIVER, Place, Rule
from iopio_async.analysis.values import Reader, as_text
from iopio_async.model.module import Mode

#: Methods of builtin types: whose object they belong to is not worth asking.
_BUILTIN_METHODS = frozenset(
    name
    for kind in (str, bytes, list, dict, set, tuple, int, float, frozenset)
    for name in dir(kind)
) - {"update", "format"}
_COMMANDS = frozenset(
    f"subprocess.{name}"
    for name in ["run", "call", "check_call", "check_output", "Popen", "getoutput"]
) | {
    *("os.system", "os.popen", "asyncio.create_subprocess_exec"),
    *("asyncio.create_subprocess_shell", "anyio.run_process", "anyio.open_process"),
}
_LINES = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "asyncio.create_subprocess_shell"}
)
_STARTERS = frozenset({"Thread", "Process", "Timer"})
_MISSING = object()


class Toucher:
    """Gathers what one part touches, whom it calls, and what it replaces."""

    def __init__(
        self,
        table: RuleTable,
        reader: Reader,
        packages: set[str],
        class_bases: Mapping[str, tuple[str, ...]],
        owner: str,
    ) -> None:
        self.table = table
        self.reader = reader
        self.packages = dict.fromkeys(packages)
        self.class_bases = class_bases
        self.owner = owner
        self.touches: list[Touch] = []
        self.patches: list[str] = []
        self.requests: list[str] = []
        self.moves = False
        self.settings = ""

    # Targets.

    def target(self, node: ast.expr) -> str:
        """A function or class as the target of a call; empty where it is neither."""
        names = self.reader.names
        if isinstance(node, ast.Name):
            local = names.inside and node.id in names.locals
            if node.id in names.defined and not local and node.id not in names.imports:
                return f"L:{node.id}"
            if local or (node.id not in names.imports and node.id not in names.own_imports):
                return ""
        if isinstance(node, ast.Attribute):
            base = node.value
            if isinstance(base, ast.Name):
                if base.id in {"self", "cls"} and names.inside:
                    return f"S:{node.attr}"
                if base.id in names.defined and base.id not in names.locals:
                    return f"L:{base.id}.{node.attr}"
            if _is_super(base):
                return f"S:super.{node.attr}"
        dotted = names.dotted(node)
        if dotted is not None and (isinstance(node, ast.Name) or "." in dotted):
            root = dotted.partition(".")[0]
            return "" if root in sys.stdlib_module_names else f"D:{dotted}"
        if isinstance(node, ast.Attribute) and node.attr not in _BUILTIN_METHODS:
            return f"M:{node.attr}"
        return ""

    def calls_of(self, node: ast.Call) -> Iterator[Call]:
        """The calls that a call makes: its own, and that of a function that is its target."""
        for each in self._with_targets(node):
            target = self.target(each.func)
            if target:
                text = self.reader.text
                args = tuple(
                    None if isinstance(arg, ast.Starred) else text(arg) for arg in each.args
                )
                keywords = tuple(
                    (word.arg, text(word.value)) for word in each.keywords if word.arg is not None
                )
                yield Call(target, args, keywords)

    def _with_targets(self, node: ast.Call) -> Iterator[ast.Call]:
        yield node
        name = _last(node.func)
        given = {word.arg: word.value for word in node.keywords}
        if name in _STARTERS and "target" in given:
            args, words = given.get("args"), given.get("kwargs")
            yield ast.Call(
                func=given["target"],
                args=list(args.elts) if isinstance(args, ast.Tuple | ast.List) else [],
                keywords=_pairs(words),
                lineno=node.lineno,
            )
        elif name in {"partial", "to_thread", "submit"} and node.args:
            yield ast.Call(
                func=node.args[0], args=node.args[1:], keywords=node.keywords, lineno=node.lineno
            )

    # Calls.

    def call(self, node: ast.Call) -> None:
        """Apply the rules to a call."""
        for each in self._with_targets(node):
            self._call(each)

    def _call(self, node: ast.Call) -> None:
        function = node.func
        names: list[str] = []
        dotted = self.reader.names.dotted(function)
        if dotted is not None:
            names.append(dotted)
        if isinstance(function, ast.Attribute):
            if _is_super(function.value):
                if function.attr == "__init__":
                    names += self._bases(self.owner)
            elif dotted is None or dotted.partition(".")[0] not in sys.stdlib_module_names:
                names.append(f".{function.attr}")
        elif isinstance(function, ast.Name) and dotted is None:
            names += self._bases(function.id)
        for name in names:
            if name in MOVING:
                self.moves = True
            for rule in self.table.matching(name, self.packages):
                self._apply(rule, node, name)
        self._special(node, dotted or "", _last(function))
        if not self.packages.keys().isdisjoint(DEVICE_PACKAGES):
            self._devices(node)

    def _bases(self, name: str) -> list[str]:
        """The imported classes that a class of this file is made from."""
        found: list[str] = []
        for base in self.class_bases.get(name, ()):
            if base.startswith("D:"):
                found.append(base[2:])
            elif base[2:] != name:
                found += self._bases(base[2:])
        return found

    def _apply(self, rule: Rule, node: ast.Call, name: str) -> None:
        if rule.on and not (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in rule.on
        ):
            return
        if any(word.arg in rule.unless for word in node.keywords):
            return
        mode = self._mode(rule, node)
        for text in self._reached(rule, node):
            if text is not None:
                self._touch(rule.kind, text, mode, node.lineno, rule.why or f"calls {name}", name)

    def _mode(self, rule: Rule, node: ast.Call) -> Mode:
        if not rule.mode_at:
            return rule.mode
        given = self._argument(rule.mode_at, node)
        if given is _MISSING:
            return Mode.SHARED
        value = self.reader.folded(self.reader.value(given))  # type: ignore[arg-type]
        writes = isinstance(value, str) and any(letter in value for letter in "wax+")
        return Mode.EXCLUSIVE if writes else Mode.SHARED

    def _reached(self, rule: Rule, node: ast.Call) -> list[str | None]:
        if rule.resource:
            return [rule.resource]
        if rule.kind.startswith("driver:"):
            return [self._driver(rule, node)]
        given = self._argument(rule.at, node)
        if given is _MISSING:
            return [None if _open_ended(node) and rule.at else rule.default]
        if isinstance(given, list):
            return list(given)
        assert isinstance(given, ast.expr)
        if isinstance(given, ast.Constant) and given.value is None:
            return [rule.default]
        text = self.reader.text(given)
        # A number where a file belongs is a descriptor.
        if rule.kind == "path" and text is not None and text.isdigit():
            return [None]
        return [text]

    def _driver(self, rule: Rule, node: ast.Call) -> str | None:
        parts: list[str] = []
        for places in (rule.at, rule.host, rule.port, rule.database):
            given = self._argument(places, node) if places else _MISSING
            if given is _MISSING:
                if _open_ended(node):
                    return None
                parts.append("")
                continue
            assert isinstance(given, ast.expr)
            value = self.reader.folded(self.reader.value(given))
            if isinstance(value, tuple):
                # A list of servers, or a host with its port.
                pair = len(value) == 2 and str(value[1]).isdigit()
                value = f"{value[0]}:{value[1]}" if pair else value[0] if value else None
            text = as_text(value)
            if text is None and not (isinstance(given, ast.Constant) and given.value is None):
                return None
            parts.append(text or "")
        return ITEM + ITEM.join(parts)

    def _argument(self, places: tuple[Place, ...], node: ast.Call) -> object:
        """The first argument that is given at one of some places; texts where they are several."""
        for place in places:
            if place == RECEIVER:
                return node.func.value if isinstance(node.func, ast.Attribute) else _MISSING
            if isinstance(place, int):
                if place < len(node.args) and not any(
                    isinstance(each, ast.Starred) for each in node.args[: place + 1]
                ):
                    return node.args[place]
                continue
            if place == "{}":
                return _keys(node, self.reader)
            if place.startswith("0="):
                matching = node.args and self.reader.value(node.args[0]) in place[2:].split("|")
                if matching:
                    return node.args[0]
                return [] if node.args else _MISSING
            if place.startswith("0["):
                key = place[2:-1]
                pairs = _pairs(node.args[0] if node.args else None, any_key=True)
                found = [pair.value for pair in pairs if pair.arg == key]
                if found:
                    return found[0]
                continue
            for word in node.keywords:
                if word.arg == place.removesuffix("{}"):
                    if not place.endswith("{}"):
                        return word.value
                    values = word.value.values if isinstance(word.value, ast.Dict) else []
                    return [self.reader.text(value) for value in values]
        return _MISSING

    def _touch(self, kind: str, text: str, mode: Mode, line: int, why: str, call: str = "") -> None:
        self.touches.append(Touch(kind, text, mode, line, why, call))

    # What no row of the table can say.

    def _special(self, node: ast.Call, dotted: str, last: str) -> None:
        if dotted in _COMMANDS:
            self._command(node, dotted)
        elif (
            (last in {"setattr", "delattr"} and isinstance(node.func, ast.Attribute))
            or last == "patch"
            or (last in {"object", "multiple"} and "patch" in _chain(node.func))
        ):
            self._patch(node)
        elif last == "dict" and "patch" in _chain(node.func):
            self._patch_dictionary(node)
        elif last in {"setitem", "delitem"} and node.args:
            name = self.reader.names.dotted(node.args[0])
            self._entry(name or "", node.args[1] if len(node.args) > 1 else None, node.lineno)
        elif last == "getfixturevalue" and node.args:
            name = self.reader.folded(self.reader.value(node.args[0]))  # type: ignore[assignment]
            if isinstance(name, str):
                self.requests.append(name)
        elif last in {"update", "from_mapping", "from_object", "create_app"}:
            words = [*node.keywords, *_pairs(node.args[0] if node.args else None, any_key=True)]
            for word in words:
                if word.arg in URL_KEYS:
                    self._url(word.value, node.lineno)
        if dotted in {"os.environ.setdefault", "os.putenv"} or last == "setenv":
            self._variable_set(node.args[:2], node.lineno)

    def _command(self, node: ast.Call, dotted: str) -> None:
        if not node.args:
            return
        first, words = node.args[0], list[str | None]()
        value = self.reader.folded(self.reader.value(first))
        if dotted.endswith("_exec"):
            words = [self._word(each) for each in node.args]
        elif isinstance(first, ast.List | ast.Tuple):
            words = [self._word(each) for each in first.elts]
        elif isinstance(value, tuple):
            words = [each if isinstance(each, str) else None for each in value]
        elif isinstance(value, str):
            words = [*split_command(value)]
        given = {word.arg: word.value for word in node.keywords}
        elsewhere = False
        if "cwd" in given:
            place = self.reader.folded(self.reader.value(given["cwd"]))
            absent = isinstance(given["cwd"], ast.Constant) and given["cwd"].value is None
            inside = isinstance(place, str) and ("\0D:" in place or place in {".", "./", ""})
            elsewhere = not (absent or inside)
        for reached in reached_by(words, elsewhere=elsewhere):
            self._touch(reached.kind, reached.text, reached.mode, node.lineno, reached.why, dotted)

    def _word(self, node: ast.expr) -> str | None:
        if self.reader.names.dotted(node) == "sys.executable":
            return "python"
        text = self.reader.text(node)
        return text if text is None or not text.startswith(ITEM) else None

    def _patch(self, node: ast.Call) -> None:
        target = patched(node, self.reader)
        if target is None:
            return
        self.patches.append(target)
        owner = target.rpartition(".")[0]
        if owner and owner != "*":
            self._touch("globals", owner, Mode.EXCLUSIVE, node.lineno, f"replaces {target}")

    def _patch_dictionary(self, node: ast.Call) -> None:
        if not node.args:
            return
        name = self.reader.names.dotted(node.args[0]) or self.reader.value(node.args[0])
        cleared = any(word.arg == "clear" for word in node.keywords)
        entries = node.args[1] if len(node.args) > 1 else None
        if name == "os.environ" and cleared:
            why = "replaces the environment"
            self._touch("environ", "", Mode.EXCLUSIVE, node.lineno, why)
        keys = entries.keys if isinstance(entries, ast.Dict) else []
        for key in keys:
            self._entry(str(name), key, node.lineno)

    def _entry(self, name: str, key: ast.expr | None, line: int) -> None:
        """An entry of one of the interpreter's own dictionaries is set."""
        if name == "os.environ":
            text = self.reader.text(key)
            if text is not None:
                why = "changes an environment variable"
                self._touch("environ", text, Mode.EXCLUSIVE, line, why)
        elif name in {"sys.modules", "sys.path"}:
            self._touch("state", name, Mode.EXCLUSIVE, line, f"changes {name}")

    def _variable_set(self, pair: list[ast.expr], line: int) -> None:
        """Two variables say more than that they are changed."""
        if len(pair) != 2:
            return
        name, value = (self.reader.folded(self.reader.value(each)) for each in pair)
        if name == "CUDA_VISIBLE_DEVICES" and isinstance(value, str):
            self._touch("gpu", value, Mode.EXCLUSIVE, line, "chooses a GPU")
        elif name == "DJANGO_SETTINGS_MODULE" and isinstance(value, str):
            self.settings = value

    def _url(self, node: ast.expr, line: int) -> None:
        text = self.reader.text(node)
        if text is not None:
            why = "the database of the application under test"
            self._touch("url", text, Mode.EXCLUSIVE, line, why)

    def _devices(self, node: ast.Call) -> None:
        given = [*node.args, *(word.value for word in node.keywords)]
        for each in given:
            if isinstance(each, ast.List | ast.Tuple):
                given += each.elts
            elif isinstance(each, ast.Call) and _last(each.func) == "param":
                given += each.args
        for each in given:
            for choice in [each.body, each.orelse] if isinstance(each, ast.IfExp) else [each]:
                value = self.reader.folded(self.reader.value(choice))
                if isinstance(value, str) and DEVICE.fullmatch(value):
                    self._touch("gpu", "cuda", Mode.EXCLUSIVE, node.lineno, "uses a GPU")
                    return

    # Assignments.

    def assignment(self, node: ast.AST) -> None:
        """What assigning to, or deleting, something that is not this part's own does."""
        value = getattr(node, "value", None)
        targets = list(getattr(node, "targets", None) or [getattr(node, "target", None)])
        for target in targets:
            if isinstance(target, ast.Subscript):
                self._assign_entry(target, value)
            elif isinstance(target, ast.Attribute):
                dotted = self.reader.names.dotted(target.value)
                if dotted is not None and dotted not in {"self", "cls"} and self._imported(target):
                    why = f"assigns {dotted}.{target.attr}"
                    if f"{dotted}.{target.attr}" in {"sys.path", "sys.modules"}:
                        self._touch(
                            "state", f"{dotted}.{target.attr}", Mode.EXCLUSIVE, target.lineno, why
                        )
                    else:
                        self._touch("globals", dotted, Mode.EXCLUSIVE, target.lineno, why)

    def _imported(self, target: ast.Attribute) -> bool:
        base: ast.expr = target
        while isinstance(base, ast.Attribute):
            base = base.value
        names = self.reader.names
        return isinstance(base, ast.Name) and (
            base.id in names.own_imports
            or (base.id in names.imports and not (names.inside and base.id in names.locals))
        )

    def _assign_entry(self, target: ast.Subscript, value: ast.expr | None) -> None:
        name = self.reader.names.dotted(target.value) or ""
        self._entry(name, target.slice, target.lineno)
        key = self.reader.value(target.slice)
        if value is not None:
            if name == "os.environ":
                self._variable_set([target.slice, value], target.lineno)
            elif key in URL_KEYS:
                self._url(value, target.lineno)


def _last(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _chain(node: ast.expr) -> tuple[str, ...]:
    found: list[str] = []
    while isinstance(node, ast.Attribute):
        found.append(node.attr)
        node = node.value
    return (*found, node.id) if isinstance(node, ast.Name) else tuple(found)


def _is_super(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="super")):
            return True
    return False


def _open_ended(node: ast.Call) -> bool:
    return any(word.arg is None for word in node.keywords) or any(
        isinstance(each, ast.Starred) for each in node.args
    )


def _pairs(node: ast.expr | None, *, any_key: bool = False) -> list[ast.keyword]:
    """The entries of a dictionary as keywords."""
    if not isinstance(node, ast.Dict):
        return []
    return [
        ast.keyword(arg=key.value, value=value)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
        and isinstance(key.value, str)
        and (any_key or key.value.isidentifier())
    ]


def _keys(node: ast.Call, reader: Reader) -> list[str | None]:
    first = node.args[0] if node.args else None
    keys = [reader.text(key) for key in first.keys if key] if isinstance(first, ast.Dict) else []
    return [*keys, *(word.arg for word in node.keywords if word.arg)]
