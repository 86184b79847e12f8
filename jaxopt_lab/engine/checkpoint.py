"""Checkpoints: an `.npz` of arrays, and a JSON manifest that vouches for it.

The manifest is written last, so a checkpoint without one was never finished, and it holds the
archive's SHA-256, so one with a flipped bit is not restored.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import flatten_with_names

FORMAT = 1


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, sync, rename: the file is whole or not there."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def save(folder: pathlib.Path, step: int, tree: Any, *, config_hash: str, keep: int = 2) -> None:
    """Save a pytree of arrays as the checkpoint of a step, then drop all but the newest `keep`.

    Args:
      folder: an existing folder.
      step: names the files, `step-00000120.npz` and `.json`.
      tree: arrays, PRNG keys included.
      config_hash: of the configuration that the arrays belong to.
      keep: how many checkpoints stay, >= 1.

    Raises:
      OSError: where the disk does not take it; earlier checkpoints are untouched.
    """
    arrays = {name: _to_numpy(leaf) for name, leaf in flatten_with_names(tree).items()}
    buffer = io.BytesIO()
    np.savez(buffer, **{str(i): _plain(array) for i, array in enumerate(arrays.values())})
    content = buffer.getvalue()
    manifest = {
        "format": FORMAT,
        "step": step,
        "config": config_hash,
        "sha256": hashlib.sha256(content).hexdigest(),
        "arrays": {n: {"shape": a.shape, "dtype": a.dtype.name} for n, a in arrays.items()},
    }
    stem = f"step-{step:08d}"
    write_atomically(folder / f"{stem}.npz", content)
    write_atomically(folder / f"{stem}.json", json.dumps(manifest, indent=1).encode())
    for old in _manifests(folder)[keep:]:
        old.unlink()
        old.with_suffix(".npz").unlink(missing_ok=True)


def restore(folder: pathlib.Path, template: Any, *, config_hash: str) -> tuple[int, Any] | None:
    """The newest checkpoint that verifies.

    Args:
      folder: where `save` wrote.
      template: a pytree of the structure, shapes and dtypes to restore.
      config_hash: must be the one saved.

    Returns:
      The step and the tree, on the default device; None where none was ever finished.

    Raises:
      InputError: where a whole checkpoint belongs to another configuration or model, or all that
        there are are damaged.
    """
    for path in _manifests(folder):
        found = _verified(path)
        if found is None:
            continue
        manifest, content = found
        if manifest["config"] != config_hash:
            raise InputError(
                f"{path} belongs to another configuration or model (hash "
                f"{manifest['config'][:12]}, this one is {config_hash[:12]}): resume with those of "
                "that run"
            )
        return manifest["step"], _rebuild(path, manifest, content, template)
    if damaged := [path.stem for path in _manifests(folder)]:
        raise InputError(
            f"{folder}: none of the checkpoints can be trusted, they are damaged: "
            f"{', '.join(damaged)}. Nothing was changed; remove them to start over"
        )
    return None


def _manifests(folder: pathlib.Path) -> list[pathlib.Path]:
    """Newest first."""
    return sorted(folder.glob("step-*.json"), reverse=True)


def _verified(path: pathlib.Path) -> tuple[dict[str, Any], bytes] | None:
    try:
        manifest = json.loads(path.read_bytes())
        content = path.with_suffix(".npz").read_bytes()
        whole = (
            manifest["format"] == FORMAT
            and hashlib.sha256(content).hexdigest() == manifest["sha256"]
            and path.stem == f"step-{manifest['step']:08d}"
            and isinstance(manifest["config"], str)
            and isinstance(manifest["arrays"], dict)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (manifest, content) if whole else None


def _rebuild(path, manifest, content, template):
    wanted = flatten_with_names(template)
    if list(wanted) != list(manifest["arrays"]):
        other = set(wanted) ^ set(manifest["arrays"])
        raise InputError(
            f"{path} holds other arrays than this configuration's state: {sorted(other)[:3]}"
        )
    leaves = []
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        for i, (name, like) in enumerate(wanted.items()):
            is_key = jax.dtypes.issubdtype(like.dtype, jax.dtypes.prng_key)
            data = jax.eval_shape(jax.random.key_data, like) if is_key else like
            array = archive[str(i)].view(np.dtype(data.dtype))
            if array.shape != data.shape or manifest["arrays"][name]["dtype"] != data.dtype.name:
                raise InputError(
                    f"{path}: {name} is {array.shape} {array.dtype}, expected {data.shape} "
                    f"{data.dtype}: the checkpoint is of another model or optimizer"
                )
            if is_key:
                leaves.append(jax.random.wrap_key_data(array, impl=jax.random.key_impl(like)))
            else:
                leaves.append(jax.numpy.array(array))
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def _to_numpy(leaf) -> np.ndarray:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def _plain(array: np.ndarray) -> np.ndarray:
    """bfloat16 and its like, which `.npz` does not know, as unsigned integers of their width."""
    return array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array


def _sync_folder(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
