"""A file is whole or not there, however many write it and whatever ends them."""

import errno
import threading

import pytest

from jaxopt_lab.core.files import write_atomically, written_atomically


def test_of_two_that_write_at_once_each_writes_its_own(tmp_path):
    path = tmp_path / "a.csv"
    with written_atomically(path) as first:
        first.write(b"first")
        first.flush()
        with written_atomically(path) as second:
            second.write(b"the second, which is longer")
        assert path.read_bytes() == b"the second, which is longer"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_that_write_at_once_one_is_there(tmp_path):
    path, contents = tmp_path / "a", [bytes([65 + i]) * (1000 + i) for i in range(8)]

    def write(content):
        for _ in range(20):
            write_atomically(path, content)
            assert path.read_bytes() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_written_over(tmp_path):
    (tmp_path / ".a.tmp").write_bytes(b"left behind, and long")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KeyboardInterrupt(), None),
        (OSError(errno.ENOSPC, "No space left on device"), "a"),
        (OSError(errno.EIO, "Input/output error"), "a"),
        (OSError(errno.ENOSPC, "No space left on device", "elsewhere"), "elsewhere"),
    ],
)
def test_what_fails_leaves_the_old_file_and_says_where(tmp_path, error, name):
    path = tmp_path / "a"
    write_atomically(path, b"old")

    def fail():
        with written_atomically(path) as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    expected = str(path) if name == "a" else name
    assert getattr(raised.value, "filename", None) == expected
