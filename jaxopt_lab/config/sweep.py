"""`[sweep]` and `--grid` to the configurations of the runs."""

import copy
import dataclasses
import functools
import itertools
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from jaxopt_lab.config.axes import MOST, RANGES, axis_values
from jaxopt_lab.config.checks import ConfigError, parse_fields
from jaxopt_lab.config.load import read_tables
from jaxopt_lab.config.overrides import Say, parsed_value, put, standing_at
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.paths import is_whole, without_places
from jaxopt_lab.config.schema import Config
from jaxopt_lab.config.sections import MOST_SEED
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.ranges import Count, Range
from jaxopt_lab.core.readable import shortened
from jaxopt_lab.core.registry import nearest


@dataclass(frozen=True)
class SweepConfig:
    """`[sweep]`, beside its axes, `"table.key" = values`.

    Attributes:
      seeds: runs of each setting, with the seeds `seed`, `seed + 1` and on.
      bootstrap: whether each run trains on its own resample of the data.
      samples: of a random search: how many settings to draw from the axes, in place of all.
      zip: lists of axes that go together, first with first, in place of every combination.
      halving: after each rung of successive halving one run of so many goes on; None for all.
      monitor: the metric that settings are compared by, the mean over their seeds, each at the
        step that its run keeps; None for "val_loss", or "loss" where there is no validation split.
        A metric declares whether it is better high.
      vectorize: "vmap" for all runs of a device at once, "map" for one after another within the
        program, "auto" for what was measured to be faster: on a CPU blocks that its caches hold.
    """

    seeds: Count = 1
    bootstrap: bool = False
    samples: Count | None = None
    zip: Sequence[Sequence[str]] = ()
    halving: Annotated[int | None, Range(2)] = None
    monitor: str | None = None
    vectorize: Literal["auto", "vmap", "map"] = "auto"


class Run(NamedTuple):
    """One run of a sweep: what its axes say, and the whole configuration that this makes."""

    values: Mapping[str, Any]
    config: Config


@dataclass(frozen=True, repr=False)
class Sweep:
    """Runs to compare; `load_sweep` makes it.

    Attributes:
      runs: in the order of the grid, the seeds of a setting side by side.
      settings: of `[sweep]`.
      axes: names of what varies, seeds aside.
      tables: the file with its overrides, to be written beside the results.
    """

    runs: tuple[Run, ...]
    settings: SweepConfig
    axes: tuple[str, ...]
    tables: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.runs):,} runs over {', '.join(self.axes) or 'seeds'}>"

    @functools.cached_property
    def by_setting(self) -> list[list[int]]:
        """The runs that differ in their seed alone, side by side."""
        found: dict[str, list[int]] = {}
        for run, (values, _) in enumerate(self.runs):
            key = repr({k: v for k, v in values.items() if k != "seed"})
            found.setdefault(key, []).append(run)
        return list(found.values())


def load_sweep(
    path: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    grid: Iterable[str] = (),
    unset: Iterable[str] = (),
    say: Say = warnings.warn,
) -> Sweep:
    """Read a configuration with `[sweep]`, and make the configuration of each of its runs.

    Args:
      path: of a TOML file.
      overrides, unset, say: as of `load_config`; where an axis holds names, each run leaves out
        what its own does not take.
      grid: `"table.key=values"`, further axes; the values as in `[sweep]`.

    Returns:
      The checked sweep.

    Raises:
      InputError: where the file cannot be read, or has nothing to sweep over.
      ConfigError: naming every fault, by its dotted path.
    """
    tables = read_tables(path, overrides, unset, say)
    own = tables.setdefault("sweep", {})
    if not isinstance(own, dict):
        raise ConfigError(str(path), [("sweep", f"must be a table, [sweep], got {own!r}")])
    for item in grid:
        name, equals, text = item.partition("=")
        source = f"--grid {shortened(item)}"
        if not equals or "." not in name:
            example = '"optimizer.learning_rate=[1e-3, 1e-2]"'
            raise InputError(f"{source}: expected table.key=values, {example} for one")
        own[name.strip()] = parsed_value(text, source, name.strip())
    return parse_sweep(tables, source=str(path), say=say)


def parse_sweep(
    tables: Mapping[str, Any], *, source: str = "config", say: Say = warnings.warn
) -> Sweep:
    """Check tables as `tomllib` gives them; see `load_sweep`.

    Raises:
      ConfigError: naming every fault, by its dotted path.
    """
    base = {k: v for k, v in tables.items() if k != "sweep"}
    own = tables.get("sweep", {})
    known = {f.name for f in dataclasses.fields(SweepConfig)}
    paths = [k for k in own if "." in k]
    settings, faults = parse_fields(
        "sweep", SweepConfig, {k: v for k, v in own.items() if k in known}
    )
    for key in own.keys() - known - set(paths):
        axis = 'an axis is named by its whole path, "optimizer.learning_rate" for one'
        faults.append((f"sweep.{key}", f"unknown{nearest(key, known)}; {axis}"))
    random = settings.get("samples") is not None
    axes: dict[str, Any] = {}
    for path in paths:
        whole = is_whole(path.split("."), _names_at(path, base, own))
        axes[path], wrong = (_drawn if random else _listed)(own[path], whole)
        if wrong:
            faults.append((f'sweep."{path}"', wrong))
    chosen = SweepConfig(**settings)
    faults += [] if faults else _zip_faults(chosen, axes)
    if not faults and not axes and chosen.seeds == 1:
        wanted = 'seeds, or an axis, "table.key" = [] here or --grid table.key=[]'
        faults.append(("sweep", f"nothing to sweep over: give {wanted}"))
    if faults:
        raise ConfigError(source, faults)

    seed = base.get("seed", 0)
    if type(seed) is int and seed + chosen.seeds - 1 > MOST_SEED:
        text = f"{chosen.seeds} seeds from {seed} go past {MOST_SEED}; begin with a smaller one"
        raise ConfigError(source, [("seed", text)])
    if random:
        if not axes:
            raise ConfigError(source, [("sweep.samples", "needs axes to draw from")])
        generator = np.random.default_rng(seed if type(seed) is int and seed >= 0 else 0)
        points = [
            {path: draw(generator) for path, draw in axes.items()}
            for _ in range(chosen.samples or 0)
        ]
    else:
        points = list(_grid(axes, chosen.zip))
    if len(points) * chosen.seeds > MOST:
        text = f"{len(points) * chosen.seeds:,} runs are more than {MOST:,}"
        raise ConfigError(source, [("sweep", text)])
    runs = tuple(_runs(base, points, chosen, seed, source, functools.cache(say)))
    return Sweep(runs, chosen, tuple(axes), tables)


def _runs(base, points, chosen: SweepConfig, seed: Any, source: str, say: Say) -> Iterator[Run]:
    for values in points:
        tables = copy.deepcopy(dict(base))
        for path in sorted(values, key=lambda path: not path.endswith(".name")):  # names first
            put(tables, path, values[path], f'[sweep] "{path}"', say)
        if chosen.bootstrap:
            put(tables, "data.bootstrap", True, "[sweep] bootstrap")
        shown = ", ".join(f"{k} = {v}" for k, v in values.items())
        first = parse_config(tables, source=f"{source} with {shown}" if shown else source)
        for i in range(chosen.seeds):
            own = {"seed": seed + i} if chosen.seeds > 1 else {}
            yield Run({**values, **own}, dataclasses.replace(first, seed=first.seed + i))


def _grid(axes: Mapping[str, Sequence[Any]], together: Sequence[Sequence[str]]):
    """Every combination, the last axis fastest; zipped axes count as one."""
    bundles = [tuple(names) for names in together]
    single = [(name,) for name in axes if not any(name in names for names in bundles)]
    ordered = sorted([*bundles, *single], key=lambda names: list(axes).index(names[0]))
    rows = [list(zip(*(axes[name] for name in names), strict=True)) for names in ordered]
    for combination in itertools.product(*rows):
        pairs = zip(itertools.chain(*ordered), itertools.chain(*combination), strict=True)
        yield dict(pairs)


def _names_at(path: str, base: Mapping[str, Any], axes: Mapping[str, Any]) -> list[str]:
    """The names of functions that the table of an axis may have."""
    keys = without_places(path.split("."))[:-1]
    place = standing_at(base, keys)
    others = axes.get(".".join([*keys, "name"]))
    own = [place.get("name")] if isinstance(place, dict) else []
    return [n for n in (*own, *(others if isinstance(others, list) else ())) if isinstance(n, str)]


def _listed(value: Any, whole: bool) -> tuple[tuple[Any, ...], str | None]:
    """The values of an axis: numbers of a range, or a list of anything."""
    if isinstance(value, list):
        return tuple(value), None if value else "an empty list; give at least one value"
    if not isinstance(value, dict):
        return (), f"must be a list or a range, [1e-3, 1e-2] or {_RANGE}, got {value!r}"
    values, wrong = axis_values(value)
    return tuple(dict.fromkeys(map(round, values))) if whole else values, wrong


def _drawn(value: Any, whole: bool) -> tuple[Any, str | None]:
    """A function of a generator that draws one value of the axis."""
    if isinstance(value, list) and value:
        return lambda generator: value[int(generator.integers(len(value)))], None
    text = f"must be a list or, as samples are drawn, {{log = [1e-4, 1.0]}}, got {value!r}"
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in RANGES:
        return None, text
    ((kind, ends),) = value.items()
    _, wrong = axis_values({kind: ends, "n": 2})
    if wrong or ends[0] >= ends[1]:
        return None, text
    rounded = round if whole else float
    if kind == "log":
        low, high = map(math.log, ends)
        return lambda generator: rounded(math.exp(generator.uniform(low, high))), None
    return lambda generator: rounded(generator.uniform(*ends)), None


_RANGE = "{log = [1e-4, 1.0], n = 16}"


def _zip_faults(chosen: SweepConfig, axes: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults, seen = [], set()
    for names in chosen.zip:
        unknown = [name for name in names if name not in axes]
        if not names:
            faults.append(("sweep.zip", "holds an empty list; name the axes that go together"))
        elif unknown:
            faults.append(("sweep.zip", f"{unknown[0]!r} is no axis{nearest(unknown[0], axes)}"))
        elif chosen.samples is not None:
            faults.append(("sweep.zip", "goes with a grid, not with samples"))
        elif len({len(axes[name]) for name in names}) > 1:
            counts = ", ".join(f"{name} has {len(axes[name])}" for name in names)
            faults.append(("sweep.zip", f"needs axes of one length: {counts} values"))
        elif seen & set(names) or len(set(names)) < len(names):
            faults.append(("sweep.zip", f"names an axis twice: {list(names)}"))
        seen |= set(names)
    return faults
