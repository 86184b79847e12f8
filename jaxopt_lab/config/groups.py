"""Runs that one compiled program serves: what differs among them is numbers that can be traced."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_lab.config.build import Experiment, assemble
from jaxopt_lab.config.leaves import Path, leaves, replaced
from jaxopt_lab.config.optimizer import lengths_in_steps
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.source import RunData, length_of
from jaxopt_lab.engine import Layout

SEED: Path = ("seed",)
# What these tables say decides shapes and lengths.
STRUCTURAL = ("data", "train", "log")
# Whole numbers in these count steps and measurements; elsewhere most are sizes.
COUNTING = ("schedule", "control")

Values = tuple[jax.Array, ...]


class Group(NamedTuple):
    """Runs of one structure.

    Attributes:
      config: of its first run.
      source: the data, the same for all.
      members: indices of its runs.
      traced: the values that are arguments of the program.
      values: of each of `traced` one number a run, (R,).
      layout: how the devices of a run share it; None for one device a run.
    """

    config: Config
    source: RunData
    members: tuple[int, ...]
    traced: tuple[Path, ...]
    values: Values
    layout: Layout | None = None

    def first(self) -> Experiment:
        """What the first run trains."""
        return assemble(self.config, self.source, layout=self.layout)

    def experiment(self, values: Values) -> Experiment:
        """What one run trains, its values perhaps traced."""
        own = dict(zip(self.traced, values, strict=True))
        return assemble(replaced(self.config, own), self.source, layout=self.layout)

    def init(self, values: Values) -> Any:
        """The first state of one run."""
        own = dict(zip(self.traced, values, strict=True))
        return self.experiment(values).init(jax.random.key(own[SEED]))


def group_runs(configs: Sequence[Config], read: Callable[[Config], RunData]) -> list[Group]:
    """Split runs into as few programs as serve them.

    A number is traced where it may be any float, or counts steps or measurements, and where the
    functions that it goes to can be traced with it, which is tried without computing anything;
    whatever else differs is structure.

    Args:
      configs: of the runs.
      read: of the data that a configuration names; called once for each [data] and [start] there
        is.

    Returns:
      The groups, in the order of their first runs.

    Raises:
      InputError: where a configuration does not fit its data.
    """
    sources: dict[str, RunData] = {}
    for config in configs:
        if _of_files(config) not in sources:
            sources[_of_files(config)] = read(config)
    configs = [_lengths_in_steps(config, sources[_of_files(config)]) for config in configs]
    flat = [leaves(config) for config in configs]
    everywhere = {
        path for found in flat for path, value in found.items() if _candidate(path, value)
    }
    groups = []
    for members in _split(flat, range(len(configs)), everywhere):
        config = configs[members[0]]
        source = sources[_of_files(config)]
        differ = [
            path
            for path in flat[members[0]]
            if path in everywhere and len({flat[i][path] for i in members}) > 1
        ]
        for i in _of_different_counts(flat, members):
            assemble(configs[i], source)  # its faults are the user's, and told as such
        traced = differ
        if differ and not _traceable(config, source, differ):
            traced = [path for path in differ if _traceable(config, source, [path])]
        for part in _split(flat, members, set(traced)):
            groups.append(_group(configs, flat, part, traced, source))
    return sorted(groups, key=lambda group: group.members[0])


def _of_files(config: Config) -> str:
    """What is read for a run, by name."""
    return repr((config.data, config.start))


def _candidate(path: Path, value: Any) -> bool:
    return (type(value) is float and path[0] not in STRUCTURAL) or _counts(path, value)


def _counts(path: Path, value: Any) -> bool:
    return type(value) is int and path[0] in COUNTING


def _lengths_in_steps(config: Config, source: RunData) -> Config:
    """The configuration with every length that may be traced, "10%" for one, in steps."""
    length = length_of(config, source)
    found = {
        family: tuple(
            lengths_in_steps(family, choice, length) for choice in getattr(config, family)
        )
        for family in COUNTING
    }
    return dataclasses.replace(config, **found)


def _of_different_counts(flat, members) -> list[int]:
    """The first member with each combination of counts."""
    found: dict[Any, int] = {}
    for i in members:
        counts = tuple(value for path, value in flat[i].items() if _counts(path, value))
        found.setdefault(counts, i)
    return list(found.values())


def _split(flat, members, free: set[Path]) -> list[tuple[int, ...]]:
    """Members whose values agree everywhere but at the `free` paths and the seed."""
    found: dict[Any, list[int]] = {}
    for i in members:
        key = tuple(
            (path, type(value) if path in free and _candidate(path, value) else repr(value))
            for path, value in flat[i].items()
            if path != SEED
        )
        found.setdefault(key, []).append(i)
    return [tuple(part) for part in found.values()]


def _traceable(config: Config, source: RunData, paths: Sequence[Path]) -> bool:
    at = leaves(config)
    group = Group(config, source, (0,), (*paths, SEED), ())

    def one_step(values):
        state = group.init(values)
        experiment = group.experiment(values)
        batch = {k: v[: experiment.batch_size] for k, v in experiment.train.items()}
        after, _ = experiment.step(state, batch)
        params = experiment.eval_params(after.opt_state, after.params)
        return state, after, params

    values = (*(_dtype(at[path])(at[path]) for path in paths), np.uint32(0))
    try:
        before, after, _ = jax.eval_shape(one_step, values)
    except Exception:  # it builds with numbers, so what fails is that these are traced
        return False
    shapes = jax.tree.map(lambda x: (x.shape, x.dtype), (before, after))
    return shapes[0] == shapes[1]


def _group(configs, flat, members, differ, source) -> Group:
    traced = tuple(p for p in differ if len({flat[i][p] for i in members}) > 1)
    first = flat[members[0]]
    values = tuple(np.array([flat[i][p] for i in members], _dtype(first[p])) for p in traced)
    seeds = np.array([configs[i].seed for i in members], np.uint32)
    config = configs[members[0]]
    return Group(config, source, tuple(members), (*traced, SEED), (*values, seeds))


def _dtype(number: float | int) -> type[np.number]:
    return np.int32 if type(number) is int else np.float32
