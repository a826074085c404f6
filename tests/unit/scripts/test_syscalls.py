"""Who touched which path, read from what strace wrote."""

import pytest
from syscalls import Process, read_log, unescape


def paths(process: Process) -> list[str]:
    return [touch.path for touch in process.touches]


def read(text: str) -> dict[int, Process]:
    return read_log(text.splitlines(keepends=True), "/start")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("plain", "plain"),
        (r"a\nb\t\"c\"", 'a\nb\t"c"'),
        (r"\303\274", "ü"),
        (r"\xff", "\udcff"),
        (r"\0", "\0"),
        (r"back\\slash", "back\\slash"),
    ],
)
def test_strings(written: str, path: str) -> None:
    assert unescape(written) == path


def test_paths_are_joined_to_the_folder_of_their_descriptor():
    found = read(
        '7  openat(AT_FDCWD</home>, "a/../b", O_RDONLY) = 3</home/b>\n'
        '7  newfstatat(4</srv/x>, "c", {st_mode=S_IFREG|0644, ...}, 0) = 0\n'
        '7  access("d", R_OK) = -1 ENOENT (No such file or directory)\n'
    )
    assert paths(found[7]) == ["/home/b", "/srv/x/c", "/home/d"]


def test_a_descriptor_alone_is_no_path():
    assert paths(read('7  newfstatat(3</a>, "", {st_size=1}, AT_EMPTY_PATH) = 0\n')[7]) == []


def test_chdir_counts_where_it_succeeded():
    found = read(
        '7  chdir("sub") = 0\n7  chdir("/no") = -1 ENOENT (No such)\n7  access("a", F_OK) = 0\n'
    )
    assert paths(found[7])[-1] == "/start/sub/a"


def test_only_paths_are_taken_from_a_call():
    found = read('7  execve("/bin/true", ["true", "/etc/none"], 0x7ff /* 3 vars */) = 0\n')
    assert paths(found[7]) == ["/bin/true"]
    assert not found[7].is_python


def test_a_rename_has_two_paths():
    assert paths(read('7  rename("/a", "/b") = 0\n')[7]) == ["/a", "/b"]


def test_a_fork_knows_its_parent_and_its_line():
    found = read(
        '7  access("/before", F_OK) = 0\n'
        "7  clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 8\n"
        '8  access("rel", F_OK) = 0\n'
    )
    assert (found[8].parent, found[8].forked_at) == (7, 2)
    assert paths(found[8]) == ["/start/rel"]


def test_a_thread_is_its_process():
    found = read(
        '7  clone3({flags=CLONE_VM|CLONE_THREAD} <unfinished ...>\n8  access("/a", F_OK) = 0\n'
        '7  <... clone3 resumed>) = 8\n8  access("/b", F_OK) = 0\n'
    )
    assert paths(found[7]) == ["/a", "/b"]
    assert 8 not in found


def test_calls_that_come_back_later_keep_their_place():
    found = read(
        '7  openat(AT_FDCWD</x>, "a", O_RDONLY <unfinished ...>\n'
        '8  access("/b", F_OK) = 0\n7  <... openat resumed>) = 3</x/a>\n'
    )
    assert [(touch.path, touch.line) for touch in found[7].touches] == [("/x/a", 1)]


def test_what_never_comes_back_was_touched():
    assert paths(read('7  openat(AT_FDCWD</x>, "a", O_RDONLY <unfinished ...>\n')[7]) == ["/x/a"]


def test_another_program_is_told_from_python():
    found = read(
        "7  vfork( <unfinished ...>\n"
        '8  execve("/bin/cat", ["cat"], 0x1 /* 1 var */ <unfinished ...>\n'
        "7  <... vfork resumed>) = 8\n8  <... execve resumed>) = 0\n"
        '8  openat(AT_FDCWD</x>, "a", O_RDONLY) = 3\n'
    )
    assert not found[8].is_python
    assert not found[8].touches[-1].by_python
    assert found[7].is_python
