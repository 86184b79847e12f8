"""Archives of a run's folder: whole, verified, harmless, and up to date while the run goes on."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import threading
import time

import pytest

import jaxopt_lab
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.records import archive
from jaxopt_lab.run.records.archive import archives_of, restore_archive, write_archive


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder as a run has it, and what must not be copied."""
    folder = tmp_path / "first"
    (folder / "checkpoints" / "latest").mkdir(parents=True)
    (folder / "kept").mkdir()
    (folder / "config.toml").write_text("seed = 0\n")
    (folder / "Größe, naïve.txt").write_bytes(bytes(range(256)) * 5000)
    (folder / "checkpoints" / "step-00000009.npz").write_bytes(b"\0" * 1000)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"st')
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(name="place")
def _place(tmp_path):
    place = tmp_path / "drive"
    place.mkdir()
    return place


def test_what_is_restored_is_what_was_archived(folder, place, tmp_path):
    before = contents(folder)
    (folder / ".lock").write_text("1")
    (folder / "checkpoints" / ".step-00000012.npz.tmp").write_text("half")
    (folder / "link").symlink_to("/etc/passwd")
    path = write_archive(folder, place)
    assert path.name == "first-000001.tar"
    # By the tools that everybody has, too.
    check = ["sha256sum", "--check", "--quiet", path.name + ".sha256"]
    subprocess.run(check, cwd=place, check=True)
    subprocess.run(["tar", "xf", path, "-C", place], check=True)
    assert contents(place / "first") == before
    again = tmp_path / "elsewhere" / "first"
    assert restore_archive(again, place) == (path, [])
    assert contents(again) == before
    assert [p.name for p in again.parent.iterdir()] == ["first"]


def test_two_are_kept_and_others_names_are_left_alone(folder, place):
    write_archive(folder.rename(folder.with_name("first-000001")), place)
    folder.with_name("first-000001").rename(folder)
    for _ in range(4):
        write_archive(folder, place)
    assert [path.name for path in archives_of("first", place)] == [
        "first-000004.tar",
        "first-000003.tar",
    ]
    assert len(list(place.iterdir())) == 6, "each with its hash, and nothing temporary"
    assert len(archives_of("first-000001", place)) == 1


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def forget_hash(path):
    path.with_name(path.name + ".sha256").unlink()


def empty_hash(path):
    path.with_name(path.name + ".sha256").write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, forget_hash, empty_hash])
def test_a_damaged_archive_is_passed_over_and_told(folder, place, tmp_path, capsys, damage):
    write_archive(folder, place)
    (folder / "config.toml").write_text("seed = 1\n")
    damage(write_archive(folder, place))
    again = tmp_path / "again" / "first"
    jaxopt_lab.restore(again, place)
    out = " ".join(capsys.readouterr().out.split())
    assert "from first-000001.tar: the newer first-000002.tar is damaged" in out
    assert (again / "config.toml").read_text() == "seed = 0\n"
    damage(place / "first-000001.tar")
    with pytest.raises(InputError, match=r"damaged are: first-000002.tar, first-000001.tar"):
        jaxopt_lab.restore(tmp_path / "third" / "first", place)
    assert not (tmp_path / "third" / "first").exists()


def test_nothing_is_overwritten_and_what_is_missing_is_told(folder, place, tmp_path):
    write_archive(folder, place)
    before = contents(folder)
    with pytest.raises(InputError, match="is there already"):
        jaxopt_lab.restore(folder, place)
    assert contents(folder) == before
    with pytest.raises(InputError, match="no archive of 'second'; there are archives of: first"):
        jaxopt_lab.restore(tmp_path / "second", place)


def member(name, kind=tarfile.REGTYPE, content=b"", **fields):
    found = tarfile.TarInfo(name)
    found.type, found.size = kind, len(content)
    for field, value in fields.items():
        setattr(found, field, value)
    return found, content


HOSTILE = {
    "absolute": [member("/tmp/jaxopt_lab_escaped", content=b"x")],
    "parent": [member("first/../../escaped", content=b"x")],
    "elsewhere": [member("second/file", content=b"x")],
    "symbolic link": [member("first/link", tarfile.SYMTYPE, linkname="/etc/passwd")],
    "hard link": [member("first/link", tarfile.LNKTYPE, linkname="first/config.toml")],
    "device": [member("first/null", tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "pipe": [member("first/pipe", tarfile.FIFOTYPE)],
    "sparse": [member("first/large", tarfile.GNUTYPE_SPARSE)],
}


def write_hostile(place, members):
    """An archive with a right hash, as a stranger can make one."""
    path = place / "first-000001.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for found, content in members:
            tar.addfile(found, io.BytesIO(content))
    (place / (path.name + ".sha256")).write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    return path


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_member_escapes(place, tmp_path, kind):
    write_hostile(place, [member("first/config.toml", content=b"seed = 0"), *HOSTILE[kind]])
    before = contents(tmp_path)
    with pytest.raises(InputError, match="no plain file or folder of 'first'"):
        jaxopt_lab.restore(tmp_path / "runs" / "first", place)
    after = contents(tmp_path)
    assert after.pop("runs") is None
    assert after == before


def test_a_size_that_is_not_there_and_nonsense_are_refused(place, tmp_path):
    path = write_hostile(place, [member("first/large", content=b"x")])
    data = bytearray(path.read_bytes())
    data[124:136] = b"77777777777\0"  # 8 GiB, in octal digits
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    for content in (bytes(data), b"no archive at all" * 100):
        path.write_bytes(content)
        (place / (path.name + ".sha256")).write_text(hashlib.sha256(content).hexdigest())
        with pytest.raises(InputError, match=r"no plain file|is no archive"):
            jaxopt_lab.restore(tmp_path / "first", place)
        assert not (tmp_path / "first").exists()


def test_a_copy_made_while_a_run_writes_has_the_rows_of_its_checkpoints(folder, place, tmp_path):
    """A writer keeps to the order of a run: rows, then a checkpoint, then the older one goes."""
    (folder / "metrics.jsonl").write_text("")
    ended, checkpoints = threading.Event(), folder / "checkpoints"

    def write():
        step = 9
        while not ended.is_set():
            time.sleep(0.03)
            with open(folder / "metrics.jsonl", "a") as log:
                for _ in range(20):
                    step += 1
                    log.write(json.dumps({"step": step}) + "\n")
            (checkpoints / ".tmp").write_bytes(str(step).encode() * 1000)
            os.replace(checkpoints / ".tmp", checkpoints / f"step-{step:08d}.npz")
            for old in sorted(checkpoints.glob("*.npz"))[:-1]:
                old.unlink()

    thread = threading.Thread(target=write)
    thread.start()
    made = []
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            try:
                made.append(write_archive(folder, place))
            except OSError as error:
                assert "changed while it was copied" in str(error)  # noqa: PT017
                continue
            again = tmp_path / str(len(made)) / "first"
            restore_archive(again, place)
            (last,) = (again / "checkpoints").glob("*.npz")
            step = int(last.stem.removeprefix("step-"))
            if step > 9:
                assert last.read_bytes() == str(step).encode() * 1000
                rows = (again / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
                assert json.loads(rows[step - 10]) == {"step": step}
    finally:
        ended.set()
        thread.join()
    assert len(made) > 5


def test_a_file_that_changes_meanwhile_is_copied_again(folder, place, monkeypatch, tmp_path):
    add, calls = archive._add, []

    def adding(tar, path, name):
        add(tar, path, name)
        calls.append(name)
        if len(calls) == 3:  # the first copy is under way
            (folder / "config.toml").unlink()
            (folder / "config.toml").write_text("seed = 2\n")
            (folder / "checkpoints" / "step-00000018.npz").write_bytes(b"new")

    monkeypatch.setattr(archive, "_add", adding)
    write_archive(folder, place)
    restore_archive(tmp_path / "again" / "first", place)
    assert contents(tmp_path / "again" / "first") == contents(folder)
    monkeypatch.setattr(archive, "whole_files", lambda folder: object())
    monkeypatch.setattr(archive, "TRIES", 3)
    with pytest.raises(OSError, match="changed while it was copied, 3 times"):
        write_archive(folder, place)
    assert [path.name for path in place.glob("*.tar")] == ["first-000001.tar"]
    assert not list(place.glob(".*"))


def wait_for(there):
    until = time.monotonic() + 10
    while not there() and time.monotonic() < until:
        time.sleep(0.005)
    assert there()


def test_a_backup_follows_the_folder_and_holds_its_end(folder, place, tmp_path):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    with jaxopt_lab.backup(folder, place / "new", seconds=0.01):
        folder.mkdir()
        (folder / "config.toml").write_text("seed = 0\n")
        wait_for(lambda: archives_of("first", place / "new"))
        newest = archives_of("first", place / "new")[0]
        (folder / "metrics.jsonl").write_text("{}\n")
        time.sleep(0.1)
        assert archives_of("first", place / "new")[0] == newest, "a log alone is no progress"
        (folder / "step-00000001.npz").write_bytes(b"1")
        wait_for(lambda: archives_of("first", place / "new")[0] != newest)
        (folder / "metrics.jsonl").write_text("{}\n{}\n")
    jaxopt_lab.restore(tmp_path / "again" / "first", place / "new", progress=False)
    assert contents(tmp_path / "again" / "first") == contents(folder)
    assert not any("backup" in thread.name for thread in threading.enumerate())


def test_an_exception_is_the_runs_own_and_the_archive_is_made(folder, place):
    with pytest.raises(KeyError, match="of the run"), jaxopt_lab.backup(folder, place):
        raise KeyError("of the run")
    assert len(archives_of("first", place)) == 1


def test_a_backup_that_fails_warns_once_and_goes_on(folder, place, capsys, monkeypatch):
    real, tried = archive.os.replace, []

    def full(*names):
        if len(tried) < 5:
            tried.append(names)
            raise OSError(28, "No space left on device")
        real(*names)

    monkeypatch.setattr(archive.os, "replace", full)
    with jaxopt_lab.backup(folder, place, seconds=0.01):
        wait_for(lambda: archives_of("first", place))
    error = capsys.readouterr().err
    assert error.count("No space left on device; it is tried again") == 1
    assert error.count("works again") == 1
    assert not list(place.glob(".*"))


def test_what_a_backup_would_lose_is_refused_before_the_run(folder, place, tmp_path):
    write_archive(folder, place)
    new = tmp_path / "runs" / "first"
    with pytest.raises(InputError, match=r"has archives of an earlier 'first' \(first-000001"):
        jaxopt_lab.backup(new, place).__enter__()
    with pytest.raises(InputError, match="inside of"):
        jaxopt_lab.backup(folder, folder / "drive").__enter__()
    with pytest.raises(InputError, match="cannot be made"):
        jaxopt_lab.backup(folder, place / "first-000001.tar" / "x").__enter__()
    with pytest.raises(InputError, match="seconds must be > 0"):
        jaxopt_lab.backup(folder, place, seconds=0)
    with jaxopt_lab.backup(folder, place):
        pass
    assert len(archives_of("first", place)) == 2


CONFIG = """
[data]
name = "digits"
batch_size = 128
validation = 0.15
[model]
name = "mlp"
hidden = [32]
[optimizer]
name = "adam"
learning_rate = 0.02
[train]
epochs = 40
checkpoint_every = "50%"
checkpoint_seconds = 1e-6
"""

VANISHES = """
import os, pathlib, sys, time
import jaxopt_lab
from jaxopt_lab.run.records.archive import archives_of
from jaxopt_lab.run.terminal.progress import Bar
update = Bar.update
def update_and_die(self, chunk):
    update(self, chunk)
    time.sleep(0.02)
    if chunk.end > 30 and archives_of("run", pathlib.Path("drive")):
        os.kill(os.getpid(), 9)
Bar.update = update_and_die
with jaxopt_lab.backup("run", "drive", seconds=0.001):
    jaxopt_lab.train("config.toml", "run")
"""


def test_a_run_whose_machine_vanished_goes_on_to_the_same_bytes(tmp_path, monkeypatch, capsys):
    from jaxopt_lab.cli import main

    monkeypatch.chdir(tmp_path)
    pathlib.Path("config.toml").write_text(CONFIG)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", VANISHES], env=environment, capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr
    pathlib.Path("run").rename("lost")
    assert main(["train", "--resume", "run", "--backup", "drive"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "restored run from run-0" in out and "the newest checkpoint" in out
    assert main(["train", "config.toml", "--run-dir", "whole"]) == 0
    ours, theirs = contents(pathlib.Path("run")), contents(pathlib.Path("whole"))
    assert ours.keys() == theirs.keys()
    for name in ("config.toml", "metrics.jsonl", *(n for n in ours if n.startswith("checkpoints"))):
        assert ours[name] == theirs[name], name
    restored = pathlib.Path("again", "run")
    jaxopt_lab.restore(restored, "drive", progress=False)
    assert {k: v for k, v in contents(restored).items() if k != ".lock"} == {
        k: v for k, v in ours.items() if k != ".lock"
    }
