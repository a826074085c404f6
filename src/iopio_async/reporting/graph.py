"""The graph of modules and resources as text: a tree, or in a format that other tools draw.

Readers are drawn with a broken line, writers with a whole one. Names come from the project's files,
so each format quotes them in its own way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from iopio_async.model.module import Mode
from iopio_async.planning.graph import Conflict, Graph, Use
from iopio_async.reporting.escape import encodable, escape_line

#: For a branch, and for the last one; the same in ASCII.
_BRANCHES = {True: ("├─ ", "└─ "), False: ("|- ", "`- ")}


def tree(graph: Graph, *, unicode: bool) -> str:
    """Resources with the modules that claim them, below each other."""
    if not graph.uses:
        return "nothing is shared: all modules may overlap\n"
    lines: list[str] = []
    for name, uses in graph.by_resource.items():
        capacity = graph.capacities.get(name)
        lines.append(escape_line(name) + (f" (capacity {capacity})" if capacity else ""))
        lines += branches([f"{escape_line(use.module)} ({_how(use)})" for use in uses], unicode)
    return _text(lines)


def of_module(graph: Graph, module: str, *, unicode: bool) -> str:
    """What one module claims, why, and with whom it can't overlap."""
    lines = [escape_line(module)]
    uses = graph.of(module)
    if not uses:
        return _text([f"{lines[0]}: claims nothing, and may overlap with all others"])
    lines.append("claims")
    for use in uses:
        lines.append(f"  {escape_line(use.resource)} ({_how(use)})")
        lines += [f"    {escape_line(str(each))}" for each in use.evidence]
    conflicts = graph.conflicts.get(module, ())
    if not conflicts:
        return _text([*lines, "may overlap with all others"])
    lines.append("can't overlap with")
    lines += [f"  {line}" for line in branches([_because(each) for each in conflicts], unicode)]
    return _text(lines)


def mermaid(graph: Graph) -> str:
    """A flowchart of Mermaid."""

    def quoted(text: str) -> str:
        # Entities by their numbers, as Mermaid has them.
        return "".join(
            char if char.isalnum() or char in " ./_:-*@$~()" else f"#{ord(char)};"
            for char in escape_line(text)
        )

    lines = ["flowchart LR"]
    resources, modules = _numbered(graph)
    lines += [f'  r{number}[("{quoted(name)}")]' for name, number in resources.items()]
    lines += [f'  m{number}["{quoted(name)}"]' for name, number in modules.items()]
    for use in graph.uses:
        arrow = "-.->" if use.mode is Mode.SHARED else "-->"
        lines.append(f"  m{modules[use.module]} {arrow}|{_how(use)}| r{resources[use.resource]}")
    return _text(lines)


def dot(graph: Graph) -> str:
    """A graph of Graphviz."""

    def quoted(text: str) -> str:
        return '"' + escape_line(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

    lines = ["digraph iopio {", "  rankdir=LR;"]
    resources, modules = _numbered(graph)
    for name, number in resources.items():
        lines.append(f"  r{number} [label={quoted(name)}, shape=cylinder];")
    for name, number in modules.items():
        lines.append(f"  m{number} [label={quoted(name)}, shape=box];")
    for use in graph.uses:
        style = "dashed" if use.mode is Mode.SHARED else "solid"
        lines.append(
            f"  m{modules[use.module]} -> r{resources[use.resource]}"
            f" [label={quoted(_how(use))}, style={style}];"
        )
    return _text([*lines, "}"])


def as_json(graph: Graph, only: str | None = None) -> str:
    """A JSON object of resources with their uses, and of conflicts by module.

    ``only`` leaves out what does not concern that module.
    """
    named = {use.resource for use in graph.uses if only in {None, use.module}}
    about = {
        "resources": [
            {
                "name": name,
                "capacity": graph.capacities.get(name),
                "claims": [_use_as_json(use) for use in uses if only in {None, use.module}],
            }
            for name, uses in graph.by_resource.items()
            if name in named
        ],
        "conflicts": {
            path: [{"module": each.module, "resources": each.resources} for each in conflicts]
            for path, conflicts in graph.conflicts.items()
            if only in {None, path}
        },
    }
    return msgspec.json.encode(encodable(about)).decode() + "\n"


#: The formats that draw the whole graph, by name.
FORMATS: Mapping[str, Callable[[Graph], str]] = {"mermaid": mermaid, "dot": dot, "json": as_json}


def part_of(graph: Graph, module: str) -> Graph:
    """The part of the graph that shows a module, and all that claim what it claims."""
    names = {use.resource for use in graph.of(module)}
    for conflict in graph.conflicts.get(module, ()):
        names.update(conflict.resources)
    others = {conflict.module for conflict in graph.conflicts.get(module, ())} | {module}
    return Graph(
        uses=tuple(use for use in graph.uses if use.module in others and use.resource in names),
        capacities={name: count for name, count in graph.capacities.items() if name in names},
        conflicts={path: each for path, each in graph.conflicts.items() if path == module},
    )


def _use_as_json(use: Use) -> dict[str, object]:
    return {
        "module": use.module,
        "mode": use.mode.value,
        "units": use.units or None,
        "evidence": [
            {"path": each.path, "line": each.line, "why": each.why} for each in use.evidence
        ],
    }


def _how(use: Use) -> str:
    if use.units:
        return f"{use.units} unit" + ("s" if use.units > 1 else "")
    return use.mode.value


def _because(conflict: Conflict) -> str:
    resources = ", ".join(map(escape_line, conflict.resources))
    return f"{escape_line(conflict.module)}: {resources}"


def branches(lines: Sequence[str], unicode: bool) -> Iterator[str]:
    """The lines as the branches of what stands above them."""
    branch, last = _BRANCHES[unicode]
    for number, line in enumerate(lines, 1):
        yield (last if number == len(lines) else branch) + line


def _numbered(graph: Graph) -> tuple[dict[str, int], dict[str, int]]:
    resources = {name: number for number, name in enumerate(graph.by_resource)}
    modules = {name: number for number, name in enumerate(sorted({u.module for u in graph.uses}))}
    return resources, modules


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
