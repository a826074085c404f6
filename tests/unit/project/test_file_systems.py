"""How far time stamps can be believed."""

import os
from pathlib import Path

import pytest

from iopio_async.project.file_systems import LOCAL_SLACK_NS, UNKNOWN_SLACK_NS, FileSystems

MOUNTS = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /home rw shared:7 master:1 - nfs4 server:/home rw,vers=4.2
31 27 0:41 / /mnt/c\\040d rw - fuse.sshfs me@there:/ rw
32 27 0:42 / /mnt/d rw - 9p share rw
"""


@pytest.fixture
def systems(tmp_path: Path) -> FileSystems:
    (tmp_path / "mounts").write_text(MOUNTS)
    return FileSystems(str(tmp_path / "mounts"))


@pytest.mark.parametrize(
    ("device", "slack_ns", "remote"),
    [
        (os.makedev(254, 0), LOCAL_SLACK_NS, False),
        (os.makedev(0, 40), UNKNOWN_SLACK_NS, True),
        (os.makedev(0, 41), UNKNOWN_SLACK_NS, True),
        (os.makedev(0, 42), UNKNOWN_SLACK_NS, False),
        (os.makedev(7, 7), UNKNOWN_SLACK_NS, False),
    ],
)
def test_the_kind_of_file_system_decides(
    systems: FileSystems, device: int, slack_ns: int, *, remote: bool
) -> None:
    assert systems.slack_ns(device) == slack_ns
    assert systems.is_remote(device) is remote
    assert systems.is_remote(device) is remote


@pytest.mark.parametrize("text", ["", "nonsense\n", "1 2 x:y / / rw - ext4 a b\n"])
def test_where_nothing_is_told_nothing_is_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "mounts").write_text(text)

    assert FileSystems(str(tmp_path / "mounts")).slack_ns(1) == UNKNOWN_SLACK_NS
    assert FileSystems(str(tmp_path / "none")).slack_ns(1) == UNKNOWN_SLACK_NS
