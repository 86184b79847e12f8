"""The archive of a folder: one tar file, and its SHA-256 beside it; the two newest are kept.

An archive is written under a temporary name, read back, and renamed; its SHA-256 comes last. So
one without it was never finished, and one with a flipped bit is not restored. A SHA-256 says that a
file is what was written, not who wrote it: so nothing of an archive lands outside of its folder.

A folder may be copied while a run writes into it. A log only grows, and its reader drops
a last row that is not whole; any other file is replaced as a whole. A copy is right if none of
these came, went or was replaced while it was made, and otherwise it is made again. So it has the
rows that led to its checkpoints.
"""

import contextlib
import hashlib
import io
import os
import pathlib
import re
import shutil
import tarfile
import time
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.files import sha256_of, write_atomically

KEEP = 2
TRIES = 10
BLOCK = 2**20  # bytes

Stamps = Mapping[str, tuple[int, ...]]


def whole_files(folder: pathlib.Path) -> Stamps:
    """What is in a folder but its logs: path -> what changes when the file is replaced."""
    return {
        entry.relative_to(folder).as_posix(): (found.st_size, found.st_mtime_ns, found.st_ino)
        for entry, found in _walk(folder)
        if not (_grows(entry) or entry.is_dir())
    }


def _grows(path: pathlib.Path) -> bool:
    """Whether a file is a log: one of a run, or of a tracker."""
    return path.suffix in (".jsonl", ".log", ".wandb") or ".tfevents." in path.name


def archives_of(name: str, place: pathlib.Path) -> list[pathlib.Path]:
    """The archives of the folder `name` in `place`, the newest first."""
    found = {int(number): path for path, stem, number in _archives(place) if stem == name}
    return [found[number] for number in sorted(found, reverse=True)]


def write_archive(folder: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Write the newest archive of a folder, then drop all but the two newest.

    Hidden files and links are left out.

    Args:
      folder: to copy; a run may write into it meanwhile.
      place: an existing folder, outside of it; the archive is `NAME-000001.tar` there.

    Returns:
      The path of the archive.

    Raises:
      OSError: where the disk does not take it, or the folder's files do not stand still; earlier
        archives are untouched.
    """
    name = folder.resolve().name
    earlier = archives_of(name, place)
    number = _number(earlier[0]) + 1 if earlier else 1
    path, temporary = place / f"{name}-{number:06d}.tar", place / f".{name}.tar.tmp"
    try:
        written = _copy(folder, name, temporary)
        if sha256_of(temporary) != written:
            raise OSError(f"{path} reads back other than it was written")
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    write_atomically(_hash_of(path), f"{written}  {path.name}\n".encode())
    for old in archives_of(name, place)[KEEP:]:
        _hash_of(old).unlink(missing_ok=True)
        old.unlink()
    return path


def restore_archive(
    folder: pathlib.Path, place: pathlib.Path
) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """Make a folder again from the newest of its archives that verifies.

    Args:
      folder: to make, which must not be there; its name is that of the archives.
      place: where the archives are.

    Returns:
      The archive that it is from, and newer ones that do not verify.

    Raises:
      InputError: where the folder is there already, or no archive of it can be trusted.
      OSError: where the disk does not take it; there is no folder then.
    """
    if os.path.lexists(folder):
        raise InputError(
            f"{folder} is there already, and a restore overwrites nothing: rename it or remove it "
            "first"
        )
    name = folder.resolve().name
    damaged: list[pathlib.Path] = []
    for path in archives_of(name, place):
        if _verified(path):
            _extract(path, folder, name)
            return path, damaged
        damaged.append(path)
    if damaged:
        names = ", ".join(path.name for path in damaged)
        raise InputError(f"{place}: no archive of {name!r} can be trusted, damaged are: {names}")
    others = ", ".join(sorted({stem for _, stem, _ in _archives(place)})) or "none"
    raise InputError(f"{place} holds no archive of {name!r}; there are archives of: {others}")


def _archives(place: pathlib.Path) -> Iterator[tuple[pathlib.Path, str, str]]:
    """The archives in a folder, each with the name of what it is of, and its number."""
    for path in place.glob("*.tar"):
        if found := re.fullmatch(r"(.+)-(\d{6,})\.tar", path.name):
            yield path, found[1], found[2]


def _number(path: pathlib.Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _hash_of(path: pathlib.Path) -> pathlib.Path:
    """The file with an archive's SHA-256, as `sha256sum --check` reads it."""
    return path.with_name(f"{path.name}.sha256")


def _verified(path: pathlib.Path) -> bool:
    try:
        return _hash_of(path).read_text().split()[:1] == [sha256_of(path)]
    except (OSError, ValueError):
        return False


def _walk(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, os.stat_result]]:
    """Every folder and file that is copied, in order; what goes meanwhile is left out."""
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith("."):  # a lock, and what is not whole yet
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            if not is_folder and not entry.is_file(follow_symlinks=False):
                continue
            path = pathlib.Path(entry.path)
            with contextlib.suppress(FileNotFoundError):
                yield path, path.lstat()
            if is_folder:
                yield from _walk(path)


def _copy(folder: pathlib.Path, name: str, path: pathlib.Path) -> str:
    """Write the tar file `path` of a folder that stands still meanwhile; its SHA-256."""
    for attempt in range(TRIES):
        time.sleep(0.02 * attempt)
        before = whole_files(folder)
        with _Hashing(io.FileIO(path, "wb")) as file:
            try:
                with tarfile.open(fileobj=file, mode="w|", bufsize=BLOCK) as tar:
                    for entry, _ in _walk(folder):
                        _add(tar, entry, f"{name}/{entry.relative_to(folder).as_posix()}")
            except (FileNotFoundError, _CutShortError):
                continue  # a file has gone since it was listed
            if whole_files(folder) == before:
                file.flush()
                os.fsync(file.fileno())
                return file.digest.hexdigest()
    raise OSError(f"{folder} changed while it was copied, {TRIES} times one after another")


def _add(tar: tarfile.TarFile, path: pathlib.Path, name: str) -> None:
    """Add a file as long as it is now, or a folder; who owns it stays here."""
    member = tarfile.TarInfo(name)
    if path.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(member)
        return
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        member.size, member.mtime = found.st_size, int(found.st_mtime)
        tar.addfile(member, _Exactly(file))


class _CutShortError(Exception):
    """A file is shorter than it was."""


class _Exactly:
    """A file of which every read gives what is asked for."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        if len(block) < size:
            raise _CutShortError
        return block


class _Hashing(io.BufferedWriter):
    """A file that knows the SHA-256 of what was written to it."""

    def __init__(self, raw: io.FileIO):
        super().__init__(raw)
        self.digest = hashlib.sha256()

    def write(self, block: "bytes | memoryview", /) -> int:
        self.digest.update(block)
        return super().write(block)


def _extract(archive: pathlib.Path, folder: pathlib.Path, name: str) -> None:
    """Unpack beside `folder`, and rename: the folder is whole or not there."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)  # of a restore that was killed
    temporary.mkdir(parents=True)
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in _harmless(tar, archive, name):
                tar.extract(member, temporary, filter="data")
        (temporary / name).mkdir(exist_ok=True)  # of an empty folder
        os.replace(temporary / name, folder)
    except (tarfile.TarError, FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{archive} is no archive that `backup` wrote: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _harmless(tar: tarfile.TarFile, archive: pathlib.Path, name: str) -> Iterator[tarfile.TarInfo]:
    """The members of an archive, which are plain files in one folder and fit into the archive.

    Raises:
      InputError: naming the member that is something else.
    """
    room = archive.stat().st_size
    for member in tar:
        room -= tarfile.BLOCKSIZE + member.size
        parts = pathlib.PurePosixPath(member.name).parts
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE)
        inside = parts[:1] == (name,) and ".." not in parts
        if not (plain and inside and member.size >= 0 and room >= 0) or member.issparse():
            raise InputError(
                f"{archive} holds {member.name!r}, which is no plain file or folder of {name!r}: "
                "it is not of `backup`, and nothing of it was restored"
            )
        yield member
