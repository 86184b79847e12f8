"""`[start]`: the parameters of another run, or of a file, in the place of what is drawn.

1. Arrays are read by name: parameters by their path, `Dense_0.kernel`, and a model's other
   collections with their own name first, `batch_stats.BatchNorm_0.mean`.
2. Rules rename them.
3. Those that the model has under the same name, in the same shape, take the place of what its
   `init` gave, before the optimizer's state is made. What is left is as it was drawn.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import StartConfig
from jaxopt_lab.config.source import RunData
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.safetensors import read_safetensors
from jaxopt_lab.core.tree import flatten_with_names
from jaxopt_lab.data.arrays import brief_list
from jaxopt_lab.engine import Experiment, checkpoint

CHECKPOINTS, KEPT, SUMMARY, SWEEP = "checkpoints", "kept", "summary.json", "sweep.toml"
"""Of a run's folder."""

SUFFIX = ".safetensors"
_PARAMS = "params."


class Begun(NamedTuple):
    """What a model begins with.

    Attributes:
      origin: where the arrays are of, in words.
      loaded: `{name: shape}` of what was taken.
      unlike: `{name: (shape there, shape here)}` of what does not fit, which is drawn.
      unused: `{name: shape}` of what the model has not.
      drawn: `{name: shape}` of what only the model has.
    """

    origin: str
    loaded: dict[str, tuple[int, ...]]
    unlike: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    unused: dict[str, tuple[int, ...]]
    drawn: dict[str, tuple[int, ...]]

    def rows(self) -> list[tuple[str, str, str]]:
        """What came of each array: its name, its shape, and what in words; the loaded first."""
        rows = [(name, _shape(shape), "loaded") for name, shape in self.loaded.items()]
        rows += [
            (name, _shape(here), f"drawn anew: {_shape(there)} there")
            for name, (there, here) in self.unlike.items()
        ]
        rows += [(n, _shape(s), "drawn anew: not there") for n, s in self.drawn.items()]
        rows += [(n, _shape(s), "skipped: not in the model") for n, s in self.unused.items()]
        return rows

    def lines(self) -> list[str]:
        """The same in lines, the loaded in one."""
        numbers = sum(int(np.prod(shape)) for shape in self.loaded.values())
        whole = len(self.loaded) + len(self.unlike) + len(self.drawn)
        first = f"started from {self.origin}: {len(self.loaded)} of {whole} arrays, "
        rest = [row for row in self.rows() if row[2] != "loaded"]
        return [
            f"{first}{numbers:,} numbers, are loaded",
            *(f"  {name} {shape}: {what}" for name, shape, what in rest),
        ]


class Start(NamedTuple):
    """Arrays to begin with, renamed, and where they are of."""

    origin: str
    arrays: Mapping[str, np.ndarray]

    def begun(self, variables: Any) -> Begun:
        """What a model with these variables, arrays or shapes, takes of them.

        Raises:
          InputError: where it takes none, with the names of both sides.
        """
        others = tuple(f"{name}." for name in variables if f"{name}." != _PARAMS)
        here, there = named_arrays(variables), self.arrays
        here = dict(sorted(here.items(), key=lambda item: item[0].startswith(others)))
        fits = {n for n in here.keys() & there.keys() if _fits(there[n], here[n])}
        if not fits:
            raise InputError(
                f"start: nothing of {self.origin} fits the model, in name and in shape; there: "
                f"{brief_list(list(there)) or 'no arrays'}; here: {brief_list(list(here))}; give "
                """them other names, [start] rename = [['^backbone\\.', '']] for one"""
            )
        shapes = {name: tuple(leaf.shape) for name, leaf in here.items()}
        return Begun(
            self.origin,
            {n: s for n, s in shapes.items() if n in fits},
            {n: (there[n].shape, s) for n, s in shapes.items() if n in there and n not in fits},
            {n: tuple(a.shape) for n, a in there.items() if n not in here},
            {n: s for n, s in shapes.items() if n not in there},
        )

    def put_in(self, variables: Any) -> Any:
        """The variables with what fits, in their own dtypes.

        Raises:
          InputError: where nothing fits.
        """
        loaded = self.begun(variables).loaded
        leaves = [
            jnp.asarray(self.arrays[name], leaf.dtype) if name in loaded else leaf
            for name, leaf in named_arrays(variables).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(variables), leaves)


def with_start(config: Config, source: RunData) -> RunData:
    """The data of a run with the arrays that it begins with, where `[start]` names some.

    Raises:
      InputError: where they are not there, or damaged.
    """
    if config.start is None:
        return source
    return dataclasses.replace(source, start=load_start(config.start))


def load_start(config: StartConfig) -> Start:
    """Read what `[start]` names, and rename it.

    Raises:
      InputError: where there is no such run or file, it is damaged, or it holds no such step.
      ConfigError: where two arrays would have one name.
    """
    path = pathlib.Path(config.source)
    if path.is_dir():
        origin, arrays = _of_run(path, config)
    elif path.suffix == SUFFIX and path.exists():
        if config.step is not None or config.which != "kept":
            fault = f"is of a run's folder, and {path} is a file: leave it out"
            key = "step" if config.step is not None else "which"
            raise ConfigError("configuration", [(f"start.{key}", fault)])
        origin, arrays = str(path), read_safetensors(path)
    else:
        came = "is something else" if path.exists() else "is not there"
        fault = f"must be the folder of a run or a {SUFFIX} file; {path} {came}"
        raise ConfigError("configuration", [("start.from", fault)])
    return Start(origin, _renamed(arrays, config))


def started(experiment: Experiment, start: Start) -> Begun:
    """What an experiment begins with, without computing anything."""
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    return start.begun({"params": shapes.params, **shapes.model_state})


def adjusting(
    start: Start | None, adjust: Callable[[Any, jax.Array], Any] | None
) -> Callable[[Any, jax.Array], Any] | None:
    """`(variables, key) -> variables` that first adjusts them, and then puts in what is loaded."""
    if start is None:
        return adjust
    return lambda variables, key: start.put_in(adjust(variables, key) if adjust else variables)


def _of_run(path: pathlib.Path, config: StartConfig) -> tuple[str, dict[str, np.ndarray]]:
    """The parameters and the other collections of a run, by their names."""
    if (path / SWEEP).exists():
        fault = f"{path} is a sweep; give the folder of one run"
        raise ConfigError("configuration", [("start.from", fault)])
    ended = config.which == "kept" and config.step is None and (path / KEPT).is_dir()
    found, what = None, "the parameters that it kept"
    if ended:
        found = checkpoint.read_arrays(path / KEPT, _of_model)
    if found is None and (path / CHECKPOINTS).is_dir():
        found = checkpoint.read_arrays(path / CHECKPOINTS, _of_model, config.step)
        what = f"its checkpoint of step {found[0]:,}" if found else ""
    if found is None:
        fault = f"{path} is no folder of a run with a checkpoint: train it first"
        raise ConfigError("configuration", [("start.from", fault)])
    arrays = {name.replace("/", "."): array for name, array in found[1].items()}
    named = {_short(name.removeprefix("model_state.")): a for name, a in arrays.items()}
    if what.endswith("kept"):
        what = f"the {_kept_name(path)} that it kept, of step {found[0]:,}"
    return f"{path} ({what})", named


def _kept_name(path: pathlib.Path) -> str:
    try:
        return str(json.loads((path / SUMMARY).read_bytes())["kept"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "parameters"


def _of_model(name: str) -> bool:
    return name.startswith(("params/", "model_state/"))


def _renamed(arrays: Mapping[str, np.ndarray], config: StartConfig) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    before: dict[str, str] = {}
    for name, array in arrays.items():
        new = name
        for pattern, replacement in config.rename:
            new = re.sub(pattern, replacement, new)
        if new in found:
            fault = f"gives {before[new]!r} and {name!r} one name, {new!r}"
            raise ConfigError("configuration", [("start.rename", fault)])
        found[new], before[new] = array, name
    return found


def named_arrays(variables: Any) -> dict[str, Any]:
    """The leaves of a model's variables by the names of `[start]`, in the order of the tree.

    Parameters by their path, `Dense_0.kernel`, and those of another collection with its name first,
    `batch_stats.BatchNorm_0.mean`.
    """
    leaves = flatten_with_names(variables)
    return {_short(name.replace("/", ".")): leaf for name, leaf in leaves.items()}


def _short(name: str) -> str:
    return name.removeprefix(_PARAMS)


def _fits(there: np.ndarray, here: Any) -> bool:
    floats = [jnp.issubdtype(x.dtype, jnp.floating) for x in (there, here)]
    return tuple(there.shape) == tuple(here.shape) and floats[0] == floats[1]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
