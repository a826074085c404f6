"""Rows about installed distributions, the editable ones included."""

from cache_matrix.mutations import Distribution, Folder, Write
from cache_matrix.row import UNRELATED, Level, Row, holding

NAME = "dist_ROW"
ONE, TWO = "VALUE = 1\n", "VALUE = 2\n"

#: Whatever is about one distribution has nothing to do with another.
BESIDE = (*UNRELATED, Distribution("other_ROW", "1.0", ONE))

IMPORTS = "import importlib.metadata as metadata"
#: Whoever asks for the entry points of a group looks at all distributions.
GROUP = "[matrix_ROW]\nname = other_ROW:VALUE\n"


def installed(name: str, expression: str, *change: object, imports: str = IMPORTS) -> Row:
    """A row about a distribution that is installed in version 1.0."""
    return holding(
        f"distribution_{name}",
        expression,
        *change,  # type: ignore[arg-type]
        imports=imports,
        before=(Distribution(NAME, "1.0", ONE),),
        harmless=BESIDE,
    )


ROWS: tuple[Row, ...] = (
    installed(
        "upgraded",
        "dist_ROW.VALUE == 1",
        Distribution(NAME, "2.0", TWO),
        imports="import dist_ROW",
    ),
    installed(
        "reinstalled",
        "dist_ROW.VALUE == 1",
        Distribution(NAME, "1.0", TWO),
        imports="import dist_ROW",
    ),
    installed("version", "metadata.version('dist_ROW') == '1.0'", Distribution(NAME, "2.0", ONE)),
    installed(
        "version_with_mark",
        "metadata.version('dist_ROW') == '1.0'",
        Distribution(NAME, "1.0+local", ONE),
    ),
    installed(
        "removed",
        "importlib.util.find_spec('dist_ROW')",
        Distribution(NAME, None),
        imports="import importlib.util",
    ),
    installed(
        "files",
        "metadata.files('dist_ROW')[0].size == 10",
        Distribution(NAME, "1.0", "VALUE = 1000\n"),
    ),
    holding(
        "distribution_missing",
        "importlib.util.find_spec('dist_ROW') is None",
        Distribution(NAME, "1.0", ONE),
        imports="import importlib.util",
        harmless=BESIDE,
    ),
    Row(
        name="distribution_missing_version",
        test=(
            f"{IMPORTS}\nimport pytest\ndef test_it():\n"
            "    with pytest.raises(metadata.PackageNotFoundError):\n"
            "        metadata.version('dist_ROW')\n"
        ),
        change=(Distribution(NAME, "1.0", ONE),),
        harmless=BESIDE,
    ),
    holding(
        "distribution_entry_points",
        "len(metadata.entry_points(group='matrix_ROW')) == 0",
        Distribution("other_ROW", "1.0", ONE, GROUP),
        imports=IMPORTS,
        level=Level.COARSE,
    ),
    holding(
        "distribution_entry_point_gone",
        "len(metadata.entry_points(group='matrix_ROW')) == 1",
        Distribution("other_ROW", None),
        imports=IMPORTS,
        before=(Distribution("other_ROW", "1.0", ONE, GROUP),),
        level=Level.COARSE,
    ),
    holding(
        "editable",
        "editable_ROW.VALUE == 1",
        Write("OUT/editable_ROW/editable_ROW.py", TWO),
        imports="import editable_ROW",
        before=(
            Write("SITE/editable_ROW.pth", "@OUT@/editable_ROW\n"),
            Write("OUT/editable_ROW/editable_ROW.py", ONE),
            Folder("OUT/editable_ROW/__pycache__"),
            Write("SITE/editable_ROW-1.0.dist-info/METADATA", "Name: editable_ROW\n"),
            Write("SITE/editable_ROW-1.0.dist-info/RECORD", "editable_ROW.pth,,\n"),
        ),
        harmless=(*UNRELATED, Write("OUT/editable_ROW/other.py", ONE)),
    ),
    holding(
        "editable_in_the_project",
        "editable_ROW.VALUE == 1",
        Write("src/editable_ROW/__init__.py", TWO),
        imports="import editable_ROW",
        before=(
            Write("SITE/editable_ROW.pth", "@HERE@/src\n"),
            Write("src/editable_ROW/__init__.py", ONE),
        ),
    ),
)
