"""Reading own data: ours and the peer in turn, in one run; prints the ratios.

    python scripts/benchmarks/data.py                     # all parts, about 4 minutes on 2 cores
    python scripts/benchmarks/data.py stream --quick
    python scripts/benchmarks/data.py parquet --gigabytes 1

Parts:
  stream   JPEG files of 64 x 64 pixels, a folder a class, in a shuffled order: images a second that
           arrive in this process from two workers, once these have begun, against a PyTorch
           DataLoader of two workers
  memory   the digits from an .npz of one's own against the built-in set: steps a second of the
           MLP of configs/digits_mlp.toml
  parquet  a table of 32 columns of float32 and a class as (N, 32), against pyarrow's own read of
           the file, which leaves the columns apart, and against that with the columns stacked

Files are written to a temporary folder first. Run it on a machine that does nothing else.
"""

import os
import pathlib
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image
from racing import medians, parser_of, race, show_rates, show_times

from jaxopt_lab import data
from jaxopt_lab.config.build import build
from jaxopt_lab.config.load import load_config
from jaxopt_lab.core.rows import read_ahead
from jaxopt_lab.engine import OneRun

ROOT = pathlib.Path(__file__).parents[2]
WORKERS, BATCH, CLASSES = 2, 128, 10
UNTIMED = 16  # batches, in which workers begin and what they hold is taken


class Jpegs:
    """A dataset as PyTorch's DataLoader takes it: Pillow to (H, W, C) uint8."""

    def __init__(self, paths: list[str]):
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> np.ndarray:
        with Image.open(self.paths[i]) as image:
            return np.asarray(image.convert("RGB"))


def stacked(images: list[np.ndarray]) -> Any:
    import torch

    return torch.from_numpy(np.stack(images))


def write_jpegs(folder: str, count: int) -> None:
    """Smooth random images: their content moves no timing much."""
    draws = np.random.default_rng(0)
    for k in range(CLASSES):
        os.makedirs(f"{folder}/{k}")
    for i in range(count):
        coarse = Image.fromarray(draws.integers(0, 256, (8, 8, 3)).astype(np.uint8))
        image = coarse.resize((64, 64), Image.Resampling.BICUBIC)
        image.save(f"{folder}/{i % CLASSES}/{i}.jpg", quality=90)


def images_a_second(batches: Iterator[Any]) -> float:
    for _ in range(UNTIMED):
        next(batches)
    begin, seen = time.perf_counter(), 0
    for batch in batches:
        seen += len(batch)
    return seen / (time.perf_counter() - begin)


def stream(quick: bool) -> None:
    count = 6_000 if quick else 20_000
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(folder, count)
        found = data.image_folder(folder, stream=True, workers=WORKERS)
        x, paths = found.train["x"], [f"{folder}/{name}" for name in found.train_names]
        orders = np.random.default_rng(0)

        def ours() -> float:
            order = orders.permutation(count)[: count // BATCH * BATCH]
            ahead = read_ahead(x, order.reshape(-1, BATCH))
            rate = images_a_second(ahead)
            ahead.close()
            return rate

        warnings.filterwarnings("ignore", message="os.fork")  # no device of JAX is in use yet
        contenders: dict[str, Callable[[], float]] = {"ours": ours}
        try:
            from torch.utils.data import DataLoader
        except ImportError as error:
            print(f"without PyTorch: {error}")
        else:

            def torchs() -> float:
                loader = DataLoader(
                    Jpegs(paths),
                    batch_size=BATCH,
                    shuffle=True,
                    drop_last=True,
                    num_workers=WORKERS,
                    collate_fn=stacked,
                    multiprocessing_context="fork",  # the usual one there; ours are spawned
                )
                return images_a_second(iter(loader))

            contenders["PyTorch's DataLoader"] = torchs
        rates = race(contenders, 1 if quick else 5)
    title = f"stream: {count:,} JPEG files of 64 x 64, {WORKERS} workers, batches of {BATCH}"
    show_rates(title, rates, "images/s")


def memory(quick: bool) -> None:
    digits = data.digits()
    config = ROOT / "configs" / "digits_mlp.toml"
    steps = 2_000 if quick else 20_000
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"x": digits.train["x"], "y": digits.train["y"]}
        arrays |= {f"{k}_test": digits.test[k] for k in ("x", "y")}
        np.savez(f"{folder}/own.npz", **arrays)
        text = config.read_text().replace('name = "digits"', 'name = "npz"\npath = "own.npz"')
        own = pathlib.Path(folder, "own.toml")
        own.write_text(text)
        turns = {
            "own .npz": steps_turn(own, steps),
            "built-in digits": steps_turn(config, steps),
        }
        times = medians(turns, 3 if quick else 7)
    show_rates(f"memory: {steps:,} steps", {n: steps / taken for n, taken in times.items()})


def steps_turn(config: pathlib.Path, steps: int) -> Callable[[], None]:
    program = OneRun(build(load_config(config, ["train.epochs=1000000"])))
    place: dict[str, Any] = {"state": program.start(), "step": 0}

    def turn() -> None:
        end = place["step"] + steps
        while place["step"] < end:
            count = min(program.most, end - place["step"])
            place["state"], *_ = program.advance(place["state"], place["step"], count)
            place["step"] += count

    return turn


def parquet(quick: bool, gigabytes: float) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    columns = 32
    rows = int((0.05 if quick else gigabytes) * 1e9 / (4 * columns))
    draws = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/own.parquet"
        arrays = {f"x{i}": draws.random(rows, np.float32) for i in range(columns)}
        labels = draws.integers(0, CLASSES, rows).astype(np.int32)
        pyarrow.parquet.write_table(pa.table(arrays | {"y": labels}), path)
        del arrays, labels
        size = os.path.getsize(path) / 1e9
        turns = {
            "read_table": lambda: pyarrow.parquet.read_table(path),
            "ours": lambda: data.table(path, target="y"),
            "read_table and np.column_stack": lambda: np.column_stack(
                [column.to_numpy() for column in pyarrow.parquet.read_table(path).columns[:-1]]
            ),
        }
        times = medians(turns, 3 if quick else 5)
    show_times(f"parquet: {rows:,} rows of {columns} columns, {size:.2f} GB", times)


def main() -> None:
    parts = {"stream": stream, "memory": memory, "parquet": parquet}
    parser = parser_of(__doc__, parts, "less of each, for whether it runs")
    parser.add_argument("--gigabytes", type=float, default=0.25, help="of the Parquet table")
    arguments = parser.parse_args()
    for name in arguments.parts or parts:
        more = {"gigabytes": arguments.gigabytes} if name == "parquet" else {}
        parts[name](arguments.quick, **more)
    print(f"\nload of the machine in the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
