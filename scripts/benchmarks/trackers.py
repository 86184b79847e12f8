"""What a run costs that is told to trackers, or measures its layers: with and without, in turn.

    python scripts/benchmarks/trackers.py                  # about 6 minutes on 2 cores
    python scripts/benchmarks/trackers.py tensorboard --quick

Parts:
  tensorboard  `[log] tensorboard = true`, which is to cost less than 2 % of the run
  layers       `[log] layers = 50`, which is to cost less than 5 %
  both         the two together

Each run is `configs/digits_cnn.toml` as a user starts it: a process of its own, which compiles its
program, trains 570 steps, writes its report and waits for its trackers. What is compared is the
time until `train` returns, and of that the steps and the compilation.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from racing import parser_of, record

ROOT = pathlib.Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "digits_cnn.toml"
SETTINGS = {
    "tensorboard": ["log.tensorboard=true"],
    "layers": ["log.layers=50"],
    "both": ["log.tensorboard=true", "log.layers=50"],
}
CODE = """
import sys, time
import jaxopt_lab
config = jaxopt_lab.load_config(sys.argv[1], sys.argv[3:])
begun = time.perf_counter()
jaxopt_lab.train(config, sys.argv[2], progress=False)
print(time.perf_counter() - begun)
"""


def run(settings: list[str]) -> dict[str, float]:
    """Seconds of one run, in a process of its own: of the whole, of its steps, of compiling."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "run"
        command = [sys.executable, "-c", CODE, str(CONFIG), str(place), *settings]
        variables = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
        summary = json.loads((place / "summary.json").read_text())
    names = ("train_seconds", "compile_seconds")
    return {"train() returns": float(done.stdout)} | {name: summary[name] for name in names}


def main() -> None:
    arguments = parser_of(__doc__, SETTINGS, "2 rounds in place of 9").parse_args()
    parts = arguments.parts or SETTINGS
    contenders = {"without": []} | {name: SETTINGS[name] for name in SETTINGS if name in parts}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    begun = time.monotonic()
    for _ in range(2 if arguments.quick else 9):
        for name, settings in contenders.items():
            found[name].append(run(settings))
    for what in found["without"][0]:
        print(f"\n{what}: the median, and the median of the ratios to the run beside it")
        medians = {n: statistics.median(each[what] for each in runs) for n, runs in found.items()}
        record(what, medians, "seconds")
        for name, runs in found.items():
            seconds = [each[what] for each in runs]
            ratios = [a / b[what] for a, b in zip(seconds, found["without"], strict=True)]
            middle, ratio = statistics.median(seconds), statistics.median(ratios)
            print(f"  {name:<14}{middle:8.2f} s {ratio:8.3f}x", flush=True)
    print(f"\nin {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
