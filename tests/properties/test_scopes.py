"""Laws of the scopes of sources, over generated ones."""

import ast

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.analysis.scopes import MODULE, read_scopes

NAMES = st.sampled_from(["a", "b", "spam", "Ham"])
LINES = st.sampled_from(
    ["x = 1", "y = 'text'", "x += [i for i in y]", "f = lambda z: z", "pass", "import os", "x()"]
)
HEADS = st.sampled_from(["def {}(self, x=1):", "async def {}():", "class {}:", "if x:  # {}"])


@st.composite
def blocks(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """Lines of a block, with definitions nested in it."""
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        if depth < 3 and draw(st.booleans()):
            lines.append(draw(HEADS).format(draw(NAMES)))
            lines += [f"    {line}" for line in draw(blocks(depth + 1))]
        else:
            lines.append(draw(LINES))
    return lines


def digests(lines: list[str]) -> dict[str, str]:
    scopes = read_scopes("\n".join(lines).encode())
    assert scopes is not None
    return scopes.digests


@given(blocks(), st.data())
def test_comments_blank_lines_and_layout_change_nothing(
    lines: list[str], data: st.DataObject
) -> None:
    edited = list(lines)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(edited)))
        edited.insert(at, data.draw(st.sampled_from(["", "   ", "# comment", "      # indented"])))

    assert digests(edited) == digests(lines)
    assert digests(ast.unparse(ast.parse("\n".join(lines))).split("\n")) == digests(lines)
    assert digests([line.replace("    ", "\t") for line in lines]) == digests(lines)


@given(blocks(), st.data())
def test_an_edited_line_changes_the_scope_that_it_is_in_and_no_other(
    lines: list[str], data: st.DataObject
) -> None:
    places = [at for at, line in enumerate(lines) if not line.endswith(":") and "#" not in line]
    at = data.draw(st.sampled_from(places)) if places else None
    if at is None:
        return
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    edited = [*lines[:at], f"{indent}EDITED = 1", *lines[at + 1 :]]
    before, after = digests(lines), digests(edited)

    changed = {name for name in before if before[name] != after[name]}

    assert before.keys() == after.keys()
    assert changed == {scope_at(lines, at)}


def scope_at(lines: list[str], at: int) -> str:
    """The scope of a line: the innermost function around it, numbered as scopes are."""
    tree = ast.parse("\n".join(lines))
    found = MODULE
    counts: dict[str, int] = {}

    def visit(node: ast.AST, inside: str, scope: str) -> None:
        nonlocal found
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = inside + child.name
                counts[name] = counts.get(name, 0) + 1
                own = name if counts[name] == 1 else f"{name}#{counts[name]}"
                if child.lineno <= at + 1 <= (child.end_lineno or 0):
                    found = own
                visit(child, f"{name}.<locals>.", own)
            elif isinstance(child, ast.ClassDef):
                visit(child, f"{inside}{child.name}.", scope)
            else:
                visit(child, inside, scope)

    visit(tree, "", MODULE)
    return found


@given(st.binary(max_size=200))
def test_any_bytes_have_scopes_or_none(source: bytes) -> None:
    scopes = read_scopes(source)

    assert scopes is None or MODULE in scopes.digests
