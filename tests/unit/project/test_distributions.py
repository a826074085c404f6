"""Which distributions are installed, and which of them owns a file."""

from pathlib import Path

import pytest

from iopio_async.project.distributions import Site, normalised, site_of
from iopio_async.project.listings import Listing, scan


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "pytest-9.2.0.dist-info/RECORD": "pytest/__init__.py,x,1\n_pytest/main.py,,\npy.py,,\n",
        "pytest_mock-3.0.dist-info/RECORD": 'pytest_mock/a.py,,\n"odd,name.py",,\n',
        "pytest_mock-3.0.dist-info/entry_points.txt": "[pytest11]\nmock = pytest_mock\n",
        "Goo.Cloud_A-1.dist-info/RECORD": "goo/cloud/a.py,,\n",
        "goo_cloud_b-2.dist-info/RECORD": "goo/cloud/b.py,,\n",
        "goo_cloud_b-2.dist-info/entry_points.txt": "[console_scripts]\ngoo = goo\n",
        "old-0.5-py3.12.egg-info": "Metadata",
        "older.egg-info/PKG-INFO": "Metadata",
        "pytest/__init__.py": "",
        "by_hand.py": "",
        "x.dist": "",
    }.items():
        write(tmp_path / name, text)
    return tmp_path


def site(folder: Path) -> Site:
    def digest(path: str) -> str:
        file = Path(path)
        if file.is_dir():
            return "directory"
        return file.read_text() if file.exists() else "absent"

    return Site(Listing(str(folder), scan(str(folder)), 0), digest)


def test_names_and_versions_come_from_metadata(folder: Path) -> None:
    found = site(folder).distributions

    assert {name: [each.version for each in found[name]] for name in found} == {
        "pytest": ["9.2.0"],
        "pytest-mock": ["3.0"],
        "goo-cloud-a": ["1"],
        "goo-cloud-b": ["2"],
        "old": ["0.5"],
        "older": [""],
    }


def test_a_distribution_is_its_version_and_its_record(folder: Path) -> None:
    one = site(folder)

    assert one.identity("Pytest_Mock").startswith("3.0:pytest_mock/a.py")
    assert one.identity("old") == "0.5:Metadata"
    assert one.identity("older") == ":Metadata"
    assert one.identity("none") == "absent"


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("pytest/__init__.py", "pytest"),
        ("_pytest/main.py", "pytest"),
        ("py.py", "pytest"),
        ("odd,name.py", "pytest-mock"),
        ("goo/cloud/a.py", "goo-cloud-a"),
        ("goo/cloud/b.py", "goo-cloud-b"),
        ("by_hand.py", ""),
        ("pytest/by_hand.py", ""),
        ("goo/cloud", ""),
    ],
)
def test_a_file_belongs_to_the_distribution_that_lists_it(
    folder: Path, path: str, owner: str
) -> None:
    assert site(folder).owner(path) == owner


def test_a_directory_may_have_several_owners(folder: Path) -> None:
    one = site(folder)

    assert one.folder_owners("goo") == one.folder_owners("goo/cloud")
    assert one.folder_owners("goo") == {"goo-cloud-a", "goo-cloud-b"}
    assert one.folder_owners("_pytest") == {"pytest"}
    assert one.folder_owners("none") == set()


def test_plugins_are_those_with_entry_points_of_a_group(folder: Path) -> None:
    plugins, everything = site(folder).digest_of_all("pytest11"), site(folder).digest_of_all()
    write(folder / "goo_cloud_b-2.dist-info/entry_points.txt", "[console_scripts]\nother = goo\n")

    assert site(folder).digest_of_all("pytest11") == plugins
    assert site(folder).digest_of_all() != everything

    write(folder / "goo_cloud_b-2.dist-info/entry_points.txt", "[x]\na=b\n[pytest11]\ngoo = goo\n")
    assert site(folder).digest_of_all("pytest11") != plugins


def test_site_directories_are_known_by_name() -> None:
    assert site_of("/v/lib/python3.12/site-packages/a/b.py") == "/v/lib/python3.12/site-packages"
    assert site_of("/usr/lib/python3/dist-packages") == "/usr/lib/python3/dist-packages"
    assert site_of("/a/site-packages/b/site-packages/c.py") == "/a/site-packages"
    assert site_of("/a/my-packages/b.py") == site_of("/a/b.py") == ""
    assert normalised("A.b__C") == "a-b-c"
