"""The rules, found by the calls that they are about; and a quick look for files that have none."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from iopio_async.analysis.conventions import (
    ADDRESS_FIXTURES,
    MARKS,
    PLUGIN_FIXTURES,
    SERVICE_FIXTURES,
    URL_KEYS,
)
from iopio_async.analysis.facts import FACTS_VERSION
from iopio_async.analysis.rules import RULES, Rule

#: Words by which a file tells something beside those of the rows.
_TELLING = (
    *("run", "call", "check_call", "check_output", "Popen", "getoutput", "system", "popen"),
    *("create_subprocess_exec", "create_subprocess_shell", "run_process", "open_process"),
    *("environ", "patch", "setattr", "delattr", "setitem", "delitem", "modules"),
    *("iopio", "xdist_group", "pytest_plugins", "ENGINE", "DJANGO_SETTINGS_MODULE"),
    *("cuda", "django", "rest_framework"),
)


class RuleTable:
    """The rules by the last name of their call; immutable, and known by its ``digest``."""

    def __init__(self, more: Iterable[Rule] = (), *, rules: Iterable[Rule] = RULES) -> None:
        self.rules = (*rules, *more)
        self.by_last: dict[str, list[Rule]] = {}
        self.by_package: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.call.endswith(".*"):
                self.by_package.setdefault(rule.call[:-2].replace(":", "."), []).append(rule)
            elif rule.call != "*":
                self.by_last.setdefault(re.split(r"[.:]", rule.call)[-1], []).append(rule)
        self._by_root: dict[str, list[tuple[str, list[Rule]]]] = {}
        for name, rows in self.by_package.items():
            self._by_root.setdefault(name.partition(".")[0], []).append((name, rows))
        encoded = msgspec.json.encode([FACTS_VERSION, *self.rules])
        self.digest = sha256(encoded).hexdigest()[:16]
        words = {*self.by_last, *(package.rpartition(".")[2] for package in self.by_package)}
        words |= {
            *_TELLING,
            *MARKS,
            *PLUGIN_FIXTURES,
            *SERVICE_FIXTURES,
            *ADDRESS_FIXTURES,
            *URL_KEYS,
        }
        words -= {"*"}
        self.telling = re.compile(
            rb"\b(?:" + b"|".join(sorted(re.escape(word.encode()) for word in words)) + rb")\b"
            # Something is assigned to an attribute of what is no object of this class.
            rb"|^[ \t]+(?!self\b|cls\b)[A-Za-z_]\w*\.[\w.]+ *=[^=]",
            re.MULTILINE,
        )

    def matching(self, call: str, packages: Mapping[str, object]) -> list[Rule]:
        """The rows for a call: a dotted name, or a method's with a dot before it."""
        found: list[Rule] = []
        package, _, last = call.rpartition(".")
        for rule in self.by_last.get(last, ()):
            name = rule.call
            if name == call:
                matched = True
            elif ":" in name:
                root, _, _last = name.partition(":")
                matched = package == root or package.startswith(f"{root}.")
            else:
                matched = False
            if matched and (not rule.requires or any(each in packages for each in rule.requires)):
                found.append(rule)
        root = call.partition(".")[0]
        for name, rules in self._by_root.get(root, ()) if root else ():
            if call.startswith(f"{name}.") or call == name:
                found += rules
        return found


DEFAULT_TABLE = RuleTable()
