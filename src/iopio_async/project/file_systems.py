"""How far time stamps can be believed, by the file system that a file is on.

A file that changes twice within one tick of its file system's clock has the same time stamps both
times. So a status proves nothing about a change that came less than the *slack* before it was
asked for. On network file systems a status may be out of date as well, and proves nothing at all.
"""

import os
import re

LOCAL_SLACK_NS = 20_000_000
UNKNOWN_SLACK_NS = 2_000_000_000

_LOCAL = re.compile(
    r"ext[234]|xfs|btrfs|zfs|f2fs|bcachefs|jfs|reiserfs|nilfs2|tmpfs|ramfs|overlay|aufs|squashfs"
    r"|erofs|iso9660|apfs|hfs|ufs"
)
_NETWORK = re.compile(
    r"nfs4?|cifs|smb\w*|afs|ceph|lustre|gpfs|beegfs|ocfs2|gfs2|orangefs|coda|ncpfs|davfs"
    r"|glusterfs|fuse\.(?:sshfs|glusterfs\w*|ceph\w*|s3fs|gcsfuse|rclone|davfs2|moosefs|juicefs)"
)


class FileSystems:
    """The mounted file systems, by device. They are looked at when first asked for."""

    def __init__(self, mounts: str = "/proc/self/mountinfo") -> None:
        self._mounts = mounts
        self._kinds: dict[int, str] | None = None
        self._slack: dict[int, int] = {}
        self._remote: dict[int, bool] = {}

    def slack_ns(self, device: int) -> int:
        """How long ago a change must be for a status to have noticed it."""
        slack = self._slack.get(device)
        if slack is None:
            local = _LOCAL.fullmatch(self._kind(device)) is not None
            slack = self._slack[device] = LOCAL_SLACK_NS if local else UNKNOWN_SLACK_NS
        return slack

    def is_remote(self, device: int) -> bool:
        """True where a status may be out of date."""
        remote = self._remote.get(device)
        if remote is None:
            remote = _NETWORK.fullmatch(self._kind(device)) is not None
            self._remote[device] = remote
        return remote

    def _kind(self, device: int) -> str:
        if self._kinds is None:
            self._kinds = _read_mounts(self._mounts)
        return self._kinds.get(device, "")


def _read_mounts(path: str) -> dict[int, str]:
    """Device → kind of file system; empty where the system does not tell."""
    kinds: dict[int, str] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                head, _, tail = line.partition(" - ")
                major, _, minor = head.split()[2].partition(":")
                kinds[os.makedev(int(major), int(minor))] = tail.split()[0]
    except (OSError, ValueError, IndexError):
        return kinds
    return kinds
