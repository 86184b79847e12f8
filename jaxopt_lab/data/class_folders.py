"""A folder a class on the disk: which files there are, and of which class and split each is."""

import os
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.data.arrays import brief_list
from jaxopt_lab.data.natural_order import natural_key

_ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}


class Tree(NamedTuple):
    """What a folder holds.

    Attributes:
      train, test: `{class: paths of its files, relative to the folder}`, classes and files in
        natural order, empty classes left out; `test` is None where there is none.
      notes: what was passed over, in words.
    """

    train: dict[str, list[str]]
    test: dict[str, list[str]] | None
    notes: list[str]


def read_tree(root: Path) -> Tree:
    """Find the files of each class: in `root/CLASS`, or in `root/train/CLASS`, `root/test/CLASS`.

    Entries that begin with a dot are passed over. Files may lie in folders within a class. A link
    is followed, unless it leads to a folder that it lies in.

    Raises:
      InputError: no folder, no classes, or folders of classes beside those of splits.
    """
    walk = _Walk(root)
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(f"image_folder: {root}: expected a folder, found {found}")
    folders = walk.folders(root)
    if not folders:
        kind = "no folders" if walk.loose else "nothing"
        raise InputError(f"image_folder: {root} holds {kind}, expected a folder a class")
    splits = {name: _ROLES[name.lower()] for name in folders if name.lower() in _ROLES}
    if len(splits) < len(folders):
        # A class may be called so: a train, among cars and buses. It holds images, not folders.
        if nested := [name for name in splits if _has_folders(root / name)]:
            others = [name for name in folders if name not in splits]
            raise InputError(
                f"image_folder: {root} holds the split {nested[0]} beside {brief_list(others)}: "
                "a folder a class, or train and test with a folder a class in each"
            )
        return Tree(walk.classes(root, folders), None, walk.notes())
    by_role = _one_a_role(root, splits)
    if "train" not in by_role:
        raise InputError(f"image_folder: {root} holds {', '.join(splits)} and no train")
    train = walk.classes(root / by_role["train"])
    held = by_role.get("test", by_role.get("validation"))
    test = None if held is None else walk.classes(root / held)
    notes = walk.notes()
    if validation := by_role.get("validation"):
        notes.append(
            f"{validation}/ is the test split, as there is no test/; data.validation is drawn from "
            f"{by_role['train']}/"
            if held == validation
            else f"{validation}/ is left out: data.validation draws a part of {by_role['train']}/, "
            "put its files there"
        )
    return Tree(train, test, notes)


def files_below(root: Path) -> list[str]:
    """The files in a folder and in those within it, relative to it, as `read_tree` walks them.

    Raises:
      InputError: where a folder cannot be read.
    """
    return sorted(_Walk(root).below(root), key=natural_key)


def _one_a_role(root: Path, splits: dict[str, str]) -> dict[str, str]:
    by_role: dict[str, str] = {}
    for name, role in splits.items():
        if role in by_role:
            raise InputError(
                f"image_folder: {root} holds both {by_role[role]} and {name}: keep one"
            )
        by_role[role] = name
    return by_role


def _has_folders(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(_is_folder(e) and not e.name.startswith(".") for e in entries)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


class _Walk:
    """A walk through folders, which remembers what it passed over."""

    def __init__(self, root: Path):
        self.root = root
        self.hidden: list[str] = []
        self.loops: list[str] = []
        self.loose: list[str] = []
        self.empty: list[str] = []

    def notes(self) -> list[str]:
        """What was passed over, in words."""
        texts = {
            "skipped names that begin with a dot": self.hidden,
            "skipped links to a folder that they lie in": self.loops,
            "passed over files that lie in no class": self.loose,
            "no class, as the folder holds no file": self.empty,
        }
        return [
            f"{text}: {len(names):,} ({brief_list(names)})"
            for text, names in texts.items()
            if names
        ]

    def folders(self, path: Path) -> list[str]:
        """The names of the folders in one; files there are of no class."""
        folders, files = self._entries(path)
        self.loose += [self._relative(path / name) for name in files]
        return folders

    def classes(self, path: Path, names: list[str] | None = None) -> dict[str, list[str]]:
        """The files of each folder in this one, or of those named."""
        found = {}
        for name in self.folders(path) if names is None else names:
            files = self.below(path / name, {self._identity(path)})
            if files:
                found[name] = sorted(files, key=natural_key)
            else:
                self.empty.append(self._relative(path / name))
        if not found:
            raise InputError(
                f"image_folder: {path} holds no folder with images, expected a class each"
            )
        return found

    def below(self, path: Path, above: Set[tuple[int, int]] = frozenset()) -> list[str]:
        """The files in a folder and in those within it."""
        identity = self._identity(path)
        if identity in above:
            self.loops.append(self._relative(path))
            return []
        folders, files = self._entries(path)
        found = [self._relative(path / name) for name in files]
        for name in folders:
            found += self.below(path / name, above | {identity})
        return found

    def _entries(self, path: Path) -> tuple[list[str], list[str]]:
        """The names of folders and of all else, in natural order, without those with a dot."""
        folders, files = [], []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        self.hidden.append(self._relative(path / entry.name))
                    else:
                        (folders if _is_folder(entry) else files).append(entry.name)
        except OSError as error:
            raise InputError(f"image_folder: {path}: cannot be read: {error.strerror}") from None
        return sorted(folders, key=natural_key), sorted(files, key=natural_key)

    def _identity(self, path: Path) -> tuple[int, int]:
        status = os.stat(path)
        return status.st_dev, status.st_ino

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
