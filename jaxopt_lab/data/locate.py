"""Where archives lie on disk, and what to do about one that is not there."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxopt_lab.core.errors import InputError

ENVIRONMENT_VARIABLE = "JAXOPT_LAB_DATA"


class Published(NamedTuple):
    """A data set as its authors published it.

    Attributes:
      name: the loader's name.
      home: the address of its page.
      sha256: `{file name: SHA-256 in hexadecimal}` of the published files.
    """

    name: str
    home: str
    sha256: dict[str, str]


def data_folder(data_dir: str | os.PathLike[str] | None, published: Published) -> Path:
    """The user's data folder: `data_dir`, or where that is None the environment variable's.

    Raises:
      InputError: neither is given, or it is not a folder.
    """
    origin = "data_dir"
    if data_dir is None:
        data_dir = os.environ.get(ENVIRONMENT_VARIABLE) or None
        origin = ENVIRONMENT_VARIABLE
    if data_dir is None:
        raise InputError(
            f"{published.name}: no data folder is given (no data_dir, and {ENVIRONMENT_VARIABLE} "
            f"is not set).\n{_where_to_get(published)}"
        )
    try:
        folder = Path(data_dir).absolute()
    except TypeError as error:
        raise InputError(
            f"{published.name}: data_dir must be the path of a folder, got {data_dir!r}"
        ) from error
    if not os.path.isdir(folder):
        found = "a file" if os.path.isfile(folder) else "nothing"
        raise InputError(
            f"{published.name}: {origin} must be an existing folder, found {found} at {folder}. "
            f"Give the folder that holds the files.\n{_where_to_get(published)}"
        )
    return folder


def not_found(
    published: Published,
    files: Sequence[str],
    root: Path,
    folders: Sequence[str],
    note: str,
    incomplete: Mapping[Path, Sequence[str]],
) -> InputError:
    """The error for an archive that is not there, with all it takes to put it there.

    Args:
      published: the data set.
      files: the file names that were looked for.
      root: the data folder.
      folders: the folders below it that were looked in besides.
      note: what else there is to say, such as other names that will do.
      incomplete: the folders that hold some of the files, and the names that each lacks.
    """
    lacks = "".join(
        f"  {folder} lacks: {', '.join(names)}\n" for folder, names in incomplete.items()
    )
    return InputError(
        f"{published.name}: not found. It is never downloaded.\n"
        f"  looked for: {', '.join(files)} ({note})\n"
        f"  looked in: {root}, and in it: {', '.join(folders)}\n{lacks}"
        f"{_where_to_get(published)}"
    )


def _where_to_get(published: Published) -> str:
    sums = "".join(f"\n    {digest}  {file}" for file, digest in published.sha256.items())
    return (
        f"  published at: {published.home}\n"
        f"  SHA-256:{sums}\n"
        f"  put it in a folder DIR of your own and say `--data-dir DIR`, `data_dir=DIR`, or set "
        f"the environment variable {ENVIRONMENT_VARIABLE}=DIR"
    )
