"""`seal.json`: the SHA-256 of the files of a folder that no checkpoint vouches for.

A SHA-256 says that a file is what was written, not who wrote it. Of `summary.json` it is that of
all but its times, so that two runs of one configuration have the same seal.
"""

import hashlib
import json
import pathlib
import warnings
from collections.abc import Container, Iterable, Mapping
from typing import Any

from jaxopt_lab.config.start import SUMMARY
from jaxopt_lab.core.errors import DamageWarning
from jaxopt_lab.core.files import sha256_of, sha256_of_json, write_atomically

SEAL = "seal.json"
TIMES = ("steps_per_second",)  # and what ends in `_seconds`


def seal(folder: pathlib.Path, files: Mapping[str, bytes | None]) -> None:
    """Vouch for files: those about to be written with these bytes; None for as they are there.

    A file that is replaced may be the old one or the new one until `seal` is called again with it
    as it is: whoever is killed in between leaves nothing that looks damaged.
    """
    vouched = _read(folder) or {}
    for name, content in files.items():
        if content is None:
            vouched[name] = [_digest(folder / name)]
        else:
            digest = hashlib.sha256(content).hexdigest()
            vouched[name] = list(dict.fromkeys([*vouched.get(name, ()), digest]))
    _write(folder, vouched)


def unseal(folder: pathlib.Path, names: Iterable[str]) -> None:
    """Vouch no longer for files, which are going to change."""
    vouched = _read(folder)
    if vouched and not vouched.keys().isdisjoint(names := set(names)):
        _write(folder, {name: vouched[name] for name in vouched if name not in names})


def sealed(folder: pathlib.Path) -> tuple[str, ...]:
    """The files that the seal of a folder vouches for; none where it is not whole."""
    return tuple(_read(folder) or ())


def vouches_for(folder: pathlib.Path, name: str) -> bool:
    """Whether the seal of a folder is whole and vouches for a file."""
    return name in sealed(folder)


def broken(folder: pathlib.Path, names: Container[str] | None = None) -> dict[str, str]:
    """The files of a folder that are not what was written: name -> "missing" or "damaged".

    Args:
      folder: whose seal is looked at; where that is not whole, it is all that is known.
      names: of the files to look at; None for all that it vouches for.
    """
    states: dict[str, str] = {}
    for _ in range(2):  # another process may just have replaced one
        vouched = _read(folder)
        if vouched is None:
            return {SEAL: "damaged" if (folder / SEAL).exists() else "missing"}
        looked_at = vouched if names is None else [name for name in vouched if name in names]
        states = {name: _state(folder / name, vouched[name]) for name in looked_at}
        states = {name: state for name, state in states.items() if state}
        if not states:
            break
    return states


def require_whole(folder: pathlib.Path, names: Iterable[str]) -> list[str]:
    """Which of the files are vouched for and are not what was written.

    Warns:
      DamageWarning: where the seal itself is, so that nothing is known.
    """
    names = list(names)
    wrong = broken(folder, names)
    if SEAL in wrong:
        warnings.warn(
            f"{folder / SEAL} is {wrong[SEAL]}: nothing says whether {', '.join(names)} are what "
            "was written",
            DamageWarning,
            stacklevel=3,
        )
    return [name for name in names if name in wrong]


def _state(path: pathlib.Path, digests: list[str]) -> str:
    if not path.exists():
        return "missing"
    try:
        return "" if _digest(path) in digests else "damaged"
    except (OSError, ValueError, AttributeError, RecursionError):
        return "damaged"


def _digest(path: pathlib.Path) -> str:
    if path.name != SUMMARY:
        return sha256_of(path)
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    lasting = {k: v for k, v in found.items() if not (k.endswith("_seconds") or k in TIMES)}
    return sha256_of_json(lasting)


def _read(folder: pathlib.Path) -> dict[str, list[str]] | None:
    """What a seal vouches for; None where it is missing or itself damaged."""
    try:
        path = folder / SEAL
        values: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        whole = values.pop("seal") == sha256_of_json(values)
        return values["files"] if whole else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _write(folder: pathlib.Path, vouched: dict[str, list[str]]) -> None:
    values: dict[str, Any] = {"files": vouched}
    values["seal"] = sha256_of_json(values)
    write_atomically(folder / SEAL, json.dumps(values, indent=1).encode())
