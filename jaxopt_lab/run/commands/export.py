"""`jaxopt-lab export`: a trained network for other programs."""

import io
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_lab.config.start import named_arrays
from jaxopt_lab.core.errors import InputError, require
from jaxopt_lab.core.files import write_atomically
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.core.safetensors import write_safetensors
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.run.records.loading import load_run
from jaxopt_lab.run.records.network_card import network_card
from jaxopt_lab.run.records.network_program import network_program
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.result import Result
from jaxopt_lab.run.records.run import Run

Arrays = Mapping[str, np.ndarray]


def export(
    run: str | os.PathLike[str] | Predictor | Result,
    to: str,
    output: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
) -> pathlib.Path:
    """Write a trained network in a format that others read.

    Weights are written by the names that `[start]` reads, `Dense_0.kernel` and
    `batch_stats.BatchNorm_0.mean`, with what `network_card` says: classes, normalization and which
    weights these are.

    Args:
      run: the folder of a run; or what `load_run`, `train` or an `ensemble` gave.
      to: "safetensors", one file, the card as JSON in its metadata under "jaxopt_lab"; "npz", the
        card as JSON in the member "__metadata__", bfloat16 as float32; "orbax", a folder that
        `orbax.checkpoint.StandardCheckpointer` restores to variables as Flax has them;
        "stablehlo", the network as a program from raw samples to outputs, which
        `jax.export.deserialize` reads. The last two have the card in a file beside them, NAME.json.
      output: where; None for `export/` in the run's folder.
      force: whether to replace what is there.

    Returns:
      The path that was written.

    Raises:
      InputError: where there is no such run or format, the target is there, or the network does not
        fit the format.
      OSError: where the disk does not take it.

    Reference: https://docs.jax.dev/en/latest/export/export.html;
    https://huggingface.co/docs/safetensors.
    """
    if to not in FORMATS:
        near = nearest(to, FORMATS)
        raise InputError(f"export: to must be one of {', '.join(FORMATS)}, got {to!r}{near}")
    suffix, write = FORMATS[to]
    if isinstance(run, Result):
        run = run.run
    network = run if isinstance(run, Predictor) else load_run(run)
    target = _target(network, output, suffix)
    if target.exists() and not force:
        raise InputError(f"export: {target} is there already: give another --output, or --force")
    if target.is_dir() and to != "orbax":
        raise InputError(f"export: {target} is a folder, expected the name of a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"export: {target.parent} cannot be a folder: {error.strerror}") from None
    write(network, target)
    return target


def _target(network: Predictor, output: str | os.PathLike[str] | None, suffix: str) -> pathlib.Path:
    if output is not None:
        return pathlib.Path(output)
    path = network.path if isinstance(network, Run) else None
    if path is None:
        raise InputError("export: this network has no folder of its own: give output, a path")
    member = network.member if isinstance(network, Run) else None
    name = "model" if member is None else f"member-{member}"
    return path / "export" / f"{name}{suffix}"


def _weights(network: Predictor) -> dict[str, np.ndarray]:
    """The weights and the model's other arrays, by name."""
    named = named_arrays(_variables(network))
    return {name: np.asarray(_without_key(leaf)) for name, leaf in named.items()}


def _variables(network: Predictor) -> dict[str, Any]:
    if not isinstance(network, Run):
        raise InputError(
            "export: the weights of an ensemble are those of its runs: export these, or the "
            "ensemble --to stablehlo"
        )
    return {"params": network.params, **network.model_state}


def _without_key(leaf: Any) -> Any:
    is_key = jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def _safetensors(network: Predictor, target: pathlib.Path) -> None:
    card = {"format": "jaxopt_lab", "jaxopt_lab": json.dumps(network_card(network))}
    write_safetensors(target, _weights(network), card)


def _npz(network: Predictor, target: pathlib.Path) -> None:
    weights = {
        name: array.astype(np.float32) if array.dtype.kind == "V" else array
        for name, array in _weights(network).items()
    }
    buffer = io.BytesIO()
    card: Any = {"__metadata__": np.array(json.dumps(network_card(network)))}
    np.savez(buffer, **weights, **card)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as back:
        _require_same(weights, {name: back[name] for name in weights}, target)
    write_atomically(target, buffer.getvalue())


def _orbax(network: Predictor, target: pathlib.Path) -> None:
    require("orbax", "orbax")
    import orbax.checkpoint as ocp

    named = flatten_with_names(_variables(network))
    weights = {name: np.asarray(_without_key(leaf)) for name, leaf in named.items()}
    tree: dict[str, Any] = {}
    for name, array in weights.items():
        if not array.size:
            raise InputError(
                f"export: {name} has no elements, which Orbax does not take: --to npz does"
            )
        *folders, last = name.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = array
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(target.resolve(), tree, force=True)
    with ocp.StandardCheckpointer() as checkpointer:
        back = flatten_with_names(checkpointer.restore(target.resolve(), tree))
    _require_same(weights, {name: np.asarray(leaf) for name, leaf in back.items()}, target)
    _write_card(network, target)


def _stablehlo(network: Predictor, target: pathlib.Path) -> None:
    program = network_program(network)
    _write_card(network, target)
    write_atomically(target, program)


def _write_card(network: Predictor, target: pathlib.Path) -> None:
    text = json.dumps(network_card(network), indent=2) + "\n"
    write_atomically(target.with_name(f"{target.name}.json"), text.encode())


def _require_same(written: Arrays, back: Arrays, target: pathlib.Path) -> None:
    for name, array in written.items():
        same = name in back and (back[name].shape, back[name].dtype) == (array.shape, array.dtype)
        if not same or back[name].tobytes() != array.tobytes():
            raise OSError(f"{target}: {name} was read back with other bits than it was written")


FORMATS: dict[str, tuple[str, Callable[[Predictor, pathlib.Path], None]]] = {
    "safetensors": (".safetensors", _safetensors),
    "npz": (".npz", _npz),
    "orbax": (".orbax", _orbax),
    "stablehlo": (".stablehlo", _stablehlo),
}
"""The suffix of each format, and what writes it."""
