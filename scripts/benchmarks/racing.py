"""What the benchmarks beside this file share: contenders timed in turn, and how they are shown.

In every round each contender takes its turn, so that a busy moment of the machine hits all of them;
a figure is the median over rounds. Imports no JAX, because some contenders must run without it.
"""

import argparse
import atexit
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import random
import statistics
import time
from collections.abc import Callable, Collection
from typing import Any

Turn = Callable[[], Any]  # does its work once, and waits for it

PACKAGES = ("jax", "jaxlib", "optax", "flax", "numpy", "torch", "keras", "scikit-learn", "kfac-jax")
_tables: list[dict[str, Any]] = []  # what this process has shown, for `--json`


def race(
    contenders: dict[str, Callable[[], float]], rounds: int, *, shuffle: bool = False
) -> dict[str, float]:
    """The median of what each returns, a time or a rate, in a random order where `shuffle`."""
    order, names = random.Random(0), list(contenders)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        if shuffle:
            order.shuffle(names)
        for name in names:
            found[name].append(contenders[name]())
    return {name: statistics.median(values) for name, values in found.items()}


def seconds(turn: Turn, pause: float = 0.0) -> float:
    """How long one turn takes, after a pause in which other turns' threads come to rest."""
    time.sleep(pause)
    start = time.perf_counter()
    turn()
    return time.perf_counter() - start


def medians(
    turns: dict[str, Turn],
    rounds: int,
    *,
    warmups: int = 1,
    pause: float = 0.0,
    shuffle: bool = False,
) -> dict[str, float]:
    """Median seconds of each, after turns that are not counted: they compile and warm up."""
    for turn in turns.values():
        for _ in range(warmups):
            turn()
    timed = {name: lambda turn=turn: seconds(turn, pause) for name, turn in turns.items()}
    return race(timed, rounds, shuffle=shuffle)


def record(title: str, values: dict[str, Any], unit: str) -> None:
    """Take a table into what `--json` writes; `show_times` and `show_rates` do it themselves."""
    finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
    _tables.append({"title": title, "unit": unit, "values": finite})


def show_times(title: str, times: dict[str, float]) -> None:
    """A line for each: its seconds or milliseconds, and over those of the first."""
    print(f"\n{title}")
    record(title, times, "seconds")
    first, base = next(iter(times.items()))
    for name, taken in times.items():
        ratio = "" if name == first else f"   {taken / base:.2f}x the time of {first}"
        text = f"{taken:>10,.1f} s " if base >= 10 else f"{1e3 * taken:>10,.2f} ms"
        print(f"  {name:<36}{text}{ratio}", flush=True)


def show_rates(title: str, rates: dict[str, float], unit: str = "steps/s") -> None:
    """A line for each: its steps a second, and how many times as fast the first is."""
    print(f"\n{title}")
    record(title, rates, unit)
    first, base = next(iter(rates.items()))
    for name, rate in rates.items():
        ratio = "" if name == first else f"   {first} is {base / rate:.2f}x"
        print(f"  {name:<36}{rate:>12,.4g} {unit}{ratio}", flush=True)


def parser_of(doc: str | None, parts: Collection[str], quick: str) -> argparse.ArgumentParser:
    """The arguments of a benchmark, in parts or without; its module's docstring is the help."""
    parser = _Parser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    if parts:
        parser.add_argument("parts", nargs="*", choices=[*parts, []], help="all unless given")
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures too")
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what the machine is, and writes what was shown where the process ends."""

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        options = super().parse_args(*args, **kwargs)
        print(about_machine(), flush=True)
        if options.json:
            atexit.register(write_json, options.json)
        return options


def about_machine() -> str:
    """The processor and the versions of what is compared, in a line."""
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    place = pathlib.Path("/proc/cpuinfo")
    lines = place.read_text().splitlines() if place.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {name}; {', '.join([python, *versions])}"


def write_json(path: pathlib.Path) -> None:
    """Write the tables that were shown, with the machine."""
    path.write_text(json.dumps({"machine": about_machine(), "tables": _tables}, indent=1) + "\n")
