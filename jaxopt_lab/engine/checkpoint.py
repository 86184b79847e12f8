"""Checkpoints: an archive of arrays, and a JSON manifest that vouches for it.

The archive is an `.npz`, or where several processes train one run a folder that Orbax writes. The
manifest is written last, so a checkpoint without one was never finished, and it holds the archive's
SHA-256, so one with a flipped bit is not restored. Either is restored in any number of processes.

Between the checkpoints of steps there may be one more, the `latest`, in a folder of that name: it
is saved because time has passed, and is gone at the next of those.
"""

import contextlib
import errno
import hashlib
import io
import json
import pathlib
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import jax
import numpy as np

from jaxopt_lab.core.errors import DamageWarning, InputError, require, told
from jaxopt_lab.core.files import sha256_of, sha256_of_json, write_atomically
from jaxopt_lab.core.npz import opened_npz
from jaxopt_lab.core.tree import flatten_with_names, size_bytes

FORMAT = 3
LATEST, PATTERN = "latest", "step-*.json"

# Of the archive and the manifest for each array, beside its numbers.
_BYTES_BESIDE = 400


def save(
    folder: pathlib.Path,
    step: int,
    tree: Any,
    *,
    config_hash: str,
    keep: int | None = 2,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Save a pytree of arrays as the checkpoint of a step, then drop all but the newest `keep`.

    Every process of a run calls this, and returns when all have written.

    Args:
      folder: an existing folder, on a file system that all processes see.
      step: names the files, `step-00000120.npz` or the folder `step-00000120`, and `.json`.
      tree: arrays, PRNG keys included.
      config_hash: of the configuration that the arrays belong to.
      keep: how many checkpoints stay, >= 1; None for all.
      beside: what else the manifest is to vouch for, as JSON has it; `vouched_beside` reads it.

    Raises:
      OSError: where the disk does not take it; earlier checkpoints are untouched.
    """
    arrays = {name: _without_key(leaf) for name, leaf in flatten_with_names(tree).items()}
    archive = folder.resolve() / f"step-{step:08d}"
    if _several_processes():
        _orbax().write(archive, list(arrays.values()))
        digest = None
    else:
        buffer = io.BytesIO()
        np.savez(buffer, **{str(i): _plain(x) for i, x in enumerate(arrays.values())})
        shutil.rmtree(archive, ignore_errors=True)  # of processes that did not finish it
        archive = archive.with_suffix(".npz")
        write_atomically(archive, content := buffer.getvalue())
        # What is not on the disk as it was written vouches for nothing, and replaces nothing.
        if sha256_of(archive) != (digest := hashlib.sha256(content).hexdigest()):
            raise OSError(errno.EIO, "it reads back otherwise than it was written", str(archive))
    if jax.process_index():
        return
    manifest = {
        "format": FORMAT,
        "step": step,
        "config": config_hash,
        "sha256": digest or _digest(archive),
        "arrays": {n: {"shape": x.shape, "dtype": x.dtype.name} for n, x in arrays.items()},
        "beside": dict(beside),
    }
    manifest["manifest"] = sha256_of_json(manifest)
    write_atomically(archive.with_suffix(".json"), json.dumps(manifest, indent=1).encode())
    if keep is not None:
        for old in _sorted(folder.glob(PATTERN))[keep:]:
            _remove(old)


def save_latest(
    folder: pathlib.Path,
    step: int,
    tree: Any,
    *,
    config_hash: str,
    beside: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Save a checkpoint that only the next one replaces, whichever it is; as `save`."""
    place = folder / LATEST
    place.mkdir(exist_ok=True)
    save(place, step, tree, config_hash=config_hash, keep=1, beside=beside)


def drop_latest(folder: pathlib.Path) -> None:
    """Remove what `save_latest` saved; every process may call this, and the first one does it."""
    if jax.process_index() == 0:
        drop_after(folder / LATEST, -1)
        shutil.rmtree(folder / LATEST, ignore_errors=True)


def steps(folder: pathlib.Path) -> list[int]:
    """The steps that there are checkpoints of, whole or damaged, the newest first."""
    return [_step_of(path) for path in _manifests(folder)]


def holds(folder: pathlib.Path, step: int) -> bool:
    """Whether there is a checkpoint of a step, whole or damaged, beside the latest."""
    return any(_step_of(path) == step for path in _sorted(folder.glob(PATTERN)))


def unfinished_steps(folder: pathlib.Path) -> list[int]:
    """The steps of archives without a manifest, which were never finished, the newest first."""
    return [_step_of(path) for path in _without_manifest(folder)]


def whole_steps(folder: pathlib.Path) -> list[int]:
    """The steps that there are checkpoints of that verify, the newest first."""
    return list(vouched_beside(folder))


def vouched_beside(folder: pathlib.Path) -> dict[int, dict[str, Any]]:
    """What each checkpoint that verifies vouches for beside its arrays, the newest first."""
    found = ((_step_of(path), _verified(path)) for path in _manifests(folder))
    return {step: manifest["beside"] for step, manifest in found if manifest is not None}


def other_formats(folder: pathlib.Path) -> dict[int, int]:
    """The format of each checkpoint that has another one than this version reads.

    Where some are whole, one that is damaged may only seem to have it.
    """
    found = {_step_of(path): _format_of(path) for path in _manifests(folder)}
    others = {step: n for step, n in found.items() if n is not None and n != FORMAT}
    if others and whole_steps(folder):
        sound = {_step_of(path) for path in _manifests(folder) if _manifest(path) is not None}
        others = {step: n for step, n in others.items() if step in sound}
    return others


def beside_of(folder: pathlib.Path, step: int) -> dict[str, Any]:
    """What the checkpoint of a step vouches for beside its arrays.

    Raises:
      InputError: where there is none of the step that is whole.
    """
    found = _newest(folder, step)
    assert found is not None  # there is one of the step, or it was refused
    return found[1]["beside"]


def size_of(folder: pathlib.Path, steps: Iterable[int]) -> int:
    """How many bytes the checkpoints of steps take."""
    wanted, size = set(steps), 0
    for path in _manifests(folder):
        if _step_of(path) in wanted:
            archive = _archive(path)
            files = archive.rglob("*") if archive.is_dir() else [archive]
            size += sum(f.stat().st_size for f in (path, *files) if f.is_file())
    return size


def size_ahead(tree: Any) -> int:
    """How many bytes a checkpoint of a tree will take, within a few hundred for each array."""
    return size_bytes(tree) + _BYTES_BESIDE * len(jax.tree.leaves(tree))


def drop(folder: pathlib.Path, steps: Iterable[int]) -> None:
    """Remove the checkpoints of steps."""
    wanted = set(steps)
    for path in _manifests(folder):
        if _step_of(path) in wanted:
            _remove(path)


def drop_after(folder: pathlib.Path, step: int) -> None:
    """Remove the checkpoints of later steps, which are to be taken again; process 0 calls this.

    What a killed process did not finish to write, or to remove, goes too.
    """
    drop(folder, (later for later in steps(folder) if later > step))
    for archive in _without_manifest(folder):
        _remove(archive.with_suffix(".json"))


def restore(
    folder: pathlib.Path,
    template: Any,
    *,
    config_hash: str,
    step: int | None = None,
    holds: Callable[[Mapping[str, Any]], bool] = lambda beside: True,
) -> tuple[int, Any] | None:
    """The newest checkpoint that verifies, or that of a step.

    Args:
      folder: where `save` wrote.
      template: a pytree of the structure, shapes and dtypes to restore, and of the devices; where
        it has no arrays, the default device.
      config_hash: must be the one saved.
      step: of the checkpoint to restore; None for the newest that is whole.
      holds: whether what a checkpoint vouches for beside its arrays is still so; those of which it
        is not are passed over, unless it is so of none.

    Returns:
      The step and the tree; None where none was ever finished.

    Raises:
      InputError: where a whole checkpoint belongs to another configuration or model, all that
        there are are damaged, or there is none of the step.

    Warns:
      DamageWarning: where a newer one is damaged, and so passed over.
    """
    found = _newest(folder, step, holds)
    if found is None:
        return None
    path, manifest = found
    if manifest["config"] != config_hash:
        raise InputError(
            f"{path} belongs to another configuration or model (hash {manifest['config'][:12]}, "
            f"this one is {config_hash[:12]}): resume with those of that run"
        )
    with _told(path):
        return manifest["step"], _rebuild(path, manifest, template)


@contextlib.contextmanager
def _told(path: pathlib.Path) -> Iterator[None]:
    """Arrays that are none, though their SHA-256 is the manifest's, told as damage."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise InputError(f"{path} vouches for arrays that cannot be read: {told(error)}") from None


def _newest(
    folder: pathlib.Path,
    step: int | None,
    holds: Callable[[Mapping[str, Any]], bool] = lambda beside: True,
) -> tuple[pathlib.Path, dict[str, Any]] | None:
    """The manifest of the newest checkpoint that verifies, or of that of a step; None for none."""
    if step is not None and step not in steps(folder):
        there = ", ".join(map(str, steps(folder))) or "none"
        raise InputError(f"{folder} holds no checkpoint of step {step}; there are: {there}")
    damaged: list[pathlib.Path] = []
    whole: tuple[pathlib.Path, dict[str, Any]] | None = None
    for path in _manifests(folder):
        if step is not None and _step_of(path) != step:
            continue
        if (manifest := _verified(path)) is None:
            _refuse_newer(path)
            damaged.append(path)
            continue
        whole = whole or (path, manifest)
        if holds(manifest["beside"]):
            whole = path, manifest
            break
    if whole is not None:
        _tell_of_damaged([p for p in damaged if _step_of(p) > _step_of(whole[0])], whole[0])
        return whole
    if step is not None:
        raise InputError(f"{folder}: the checkpoint of step {step} is damaged; choose another")
    if formats := other_formats(folder):
        raise InputError(
            f"{folder}: the checkpoints are of another version of jaxopt_lab, of format "
            f"{max(formats.values())}, where this one reads {FORMAT}: train it again, or use that "
            "version"
        )
    if found := [path.stem for path in _manifests(folder)]:
        raise InputError(
            f"{folder}: none of the checkpoints can be trusted, they are damaged: "
            f"{', '.join(found)}. Nothing was changed; remove them to start over"
        )
    return None


def _tell_of_damaged(newer: list[pathlib.Path], taken: pathlib.Path) -> None:
    """Say what is lost with checkpoints that are damaged; a run under way may have dropped them."""
    if damaged := [_step_of(path) for path in newer if path.exists() and _verified(path) is None]:
        many = len(damaged) > 1
        warnings.warn(
            f"{taken.parent}: the checkpoint{'s' * many} of step "
            f"{' and '.join(f'{step:,}' for step in damaged)} {'are' if many else 'is'} damaged, "
            f"and that of step {_step_of(taken):,} is taken: the steps after it are lost",
            DamageWarning,
            stacklevel=4,
        )


def read_arrays(
    folder: pathlib.Path, wanted: Callable[[str], bool], step: int | None = None
) -> tuple[int, dict[str, np.ndarray]] | None:
    """Arrays of the newest checkpoint that verifies, or of that of a step, without its template.

    Args:
      folder: where `save` wrote.
      wanted: whether to read the array of a name, "params/Dense_0/kernel" for one.
      step: of the checkpoint; None for the newest that is whole.

    Returns:
      The step, and the arrays by their names; None where none was ever finished.

    Raises:
      InputError: as `restore`, but for no configuration.
    """
    found = _newest(folder, step)
    if found is None:
        return None
    path, manifest = found
    with _told(path):
        return manifest["step"], _arrays(path, manifest, wanted)


def _arrays(
    path: pathlib.Path, manifest: dict[str, Any], wanted: Callable[[str], bool]
) -> dict[str, np.ndarray]:
    dtypes = {name: jax.numpy.dtype(a["dtype"]) for name, a in manifest["arrays"].items()}
    archive = _archive(path)
    if archive.is_dir():
        shapes = (tuple(a["shape"]) for a in manifest["arrays"].values())
        like = [jax.ShapeDtypeStruct(*x) for x in zip(shapes, dtypes.values(), strict=True)]
        arrays = dict(zip(dtypes, _orbax().read(archive, like), strict=True))
        return {n: np.asarray(a) for n, a in arrays.items() if wanted(n)}
    with opened_npz(archive) as file:
        places = {name: str(i) for i, name in enumerate(dtypes) if wanted(name)}
        return {n: file[i].view(dtypes[n]) for n, i in places.items()}


def _several_processes() -> bool:
    return jax.process_count() > 1


def _orbax() -> ModuleType:
    require("orbax", "orbax")
    from jaxopt_lab.engine import orbax_files  # takes a second, and few runs need it

    return orbax_files


def _manifests(folder: pathlib.Path) -> list[pathlib.Path]:
    """Of all checkpoints, the newest first."""
    return _sorted([*folder.glob(PATTERN), *(folder / LATEST).glob(PATTERN)])


def _without_manifest(folder: pathlib.Path) -> list[pathlib.Path]:
    """Archives of which the manifest is not there yet, or is gone already, the newest first."""
    places = [*folder.glob("step-*"), *(folder / LATEST).glob("step-*")]
    archives = (path for path in places if path.is_dir() or path.suffix == ".npz")
    there = {path.with_suffix("") for path in _manifests(folder)}
    return [path for path in _sorted(archives) if path.with_suffix("") not in there]


def _sorted(found: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Newest first: by the number, because text has 100000000 before 99999999."""
    found = [path for path in found if path.stem.removeprefix("step-").isdecimal()]
    return sorted(found, key=_step_of, reverse=True)


def _step_of(path: pathlib.Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _remove(path: pathlib.Path) -> None:
    """Remove the manifest `path`, and then what it vouches for."""
    path.unlink(missing_ok=True)
    path.with_suffix(".npz").unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(""), ignore_errors=True)


def _archive(path: pathlib.Path) -> pathlib.Path:
    """What the manifest `path` vouches for."""
    folder = path.resolve().with_suffix("")
    return folder if folder.is_dir() else folder.with_suffix(".npz")


def _digest(archive: pathlib.Path) -> str:
    """The SHA-256 of a file; of a folder that of its files' names and their SHA-256."""
    if not archive.is_dir():
        return sha256_of(archive)
    files = sorted(path for path in archive.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(archive).as_posix()} {_digest(path)}" for path in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _format_of(path: pathlib.Path) -> int | None:
    """What a manifest says of its format; None where it says nothing."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found = json.loads(path.read_bytes())["format"] if path.is_file() else None
        return found if type(found) is int else None
    return None


def _refuse_newer(path: pathlib.Path) -> None:
    """Refuse to go around what a newer version wrote, which would be overwritten."""
    form = (_manifest(path) or {}).get("format")
    if type(form) is int and form > FORMAT:
        raise InputError(
            f"{path} is of a newer version of jaxopt_lab, of format {form}, where this one reads "
            f"{FORMAT}: use that version, or move the checkpoint away"
        )


def _manifest(path: pathlib.Path) -> dict[str, Any] | None:
    """What a manifest says, of whichever format, where it is what was written; else None."""
    wrong = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
    with contextlib.suppress(*wrong):
        manifest = json.loads(path.read_bytes()) if path.is_file() else {}
        if manifest.pop("manifest") == sha256_of_json(manifest):
            return manifest
    return None


def _verified(path: pathlib.Path) -> dict[str, Any] | None:
    if (manifest := _manifest(path)) is None:
        return None
    try:
        whole = (
            manifest["format"] == FORMAT
            and _digest(_archive(path)) == manifest["sha256"]
            and path.stem == f"step-{manifest['step']:08d}"
            and isinstance(manifest["config"], str)
            and isinstance(manifest["arrays"], dict)
            and isinstance(manifest["beside"], dict)
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return manifest if whole else None


def _rebuild(path: pathlib.Path, manifest: dict[str, Any], template: Any) -> Any:
    wanted = flatten_with_names(template)
    if list(wanted) != list(manifest["arrays"]):
        other = set(wanted) ^ set(manifest["arrays"])
        raise InputError(
            f"{path} holds other arrays than this configuration's state: {sorted(other)[:3]}"
        )
    like = [_key_data_of(x) if _is_key(x) else x for x in wanted.values()]
    for (name, there), x in zip(manifest["arrays"].items(), like, strict=True):
        if tuple(there["shape"]) != x.shape or there["dtype"] != x.dtype.name:
            raise InputError(
                f"{path}: {name} is {tuple(there['shape'])} {there['dtype']}, expected {x.shape} "
                f"{x.dtype}: the checkpoint is of another model or optimizer"
            )
    archive = _archive(path)
    if archive.is_dir():
        arrays = _orbax().read(archive, like)
    else:
        with opened_npz(archive) as file:
            arrays = [_placed(file[str(i)].view(x.dtype), x) for i, x in enumerate(like)]
    leaves = [
        jax.random.wrap_key_data(x, impl=jax.random.key_impl(y)) if _is_key(y) else x
        for x, y in zip(arrays, wanted.values(), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _placed(array: np.ndarray, like: Any) -> jax.Array:
    sharding = getattr(like, "sharding", None)
    if sharding is None or len(sharding.device_set) == 1:
        return jax.numpy.array(array)
    return jax.device_put(array, sharding)


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _without_key(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _key_data_of(leaf: Any) -> jax.ShapeDtypeStruct:
    data = jax.eval_shape(jax.random.key_data, leaf)
    sharding = getattr(leaf, "sharding", None)
    return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=sharding)


def _plain(leaf: Any) -> np.ndarray:
    """bfloat16 and its like, which `.npz` does not know, as unsigned integers of their width."""
    array = np.asarray(leaf)
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array
