"""Configurations from a stranger: how many are read, refused and trained, and what the worst takes.

    python scripts/benchmarks/faults_configs.py --reads 20000 --trainings 500    # hours on 2 cores

Every mutation of the shipped configurations is read in this process, in at most 10 seconds. Some of
those that are accepted train two steps as a user starts them, each in a process of its own, which
is given a minute and 4 GB of resident memory, or say before they are compiled why they cannot.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "config"), str(ROOT / "tests")]

MOST_SECONDS, MOST_BYTES = 60, 4 << 30
READ_SECONDS = 10
OFTEN = 0.5  # between two looks at the memory of a process
KINDS = {0: "trained", 2: "said why not"}  # by exit code
FINE = {*KINDS.values(), "diverged"}


def configs(count: int, seed: int) -> Iterator[tuple[str, str, float]]:
    """Mutated configurations of training, read.

    Args:
      count: how many.
      seed: of the mutations.

    Yields:
      The text, what came of it ("read" or "refused") and the seconds that it took.
    """
    from refusal import refused_well
    from test_strange_files import CONFIGS, mutated

    from jaxopt_lab.config.load import load_config

    draw = random.Random(seed)
    texts = [path.read_text() for path in CONFIGS if path.stem.startswith("digits")]
    texts = [text for text in texts if not {"[sweep]", "[linear]"} & set(text.split())]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config.toml"
        for _ in range(count):
            text = mutated(draw.choice(texts), draw)
            path.write_text(text, encoding="utf-8")
            begun = time.perf_counter()
            refused = refused_well(lambda: load_config(path, say=lambda text: None))
            yield text, "refused" if refused else "read", time.perf_counter() - begun


def trained(text: str) -> tuple[str, float, float, str]:
    """A configuration that trains two steps in a process of its own.

    Returns:
      What came of it, the seconds that it took, the most GB that it held, and its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "config.toml"
        path.write_text(text, encoding="utf-8")
        two = ["--set", "train.steps=2", "--run-dir", f"{folder}/run"]
        two += ["--unset", "train.epochs"] if re.search(r"(?m)^epochs", text) else []
        command = [sys.executable, "-m", "jaxopt_lab.cli", "train", str(path), *two]
        begun, most, came = time.perf_counter(), 0, ""
        with (pathlib.Path(folder) / "said").open("w+") as said:
            process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
            while (code := process.poll()) is None:
                most = max(most, _resident(process.pid))
                late = time.perf_counter() - begun > MOST_SECONDS
                if late or most > MOST_BYTES:
                    came = "took too long" if late else "took too much"
                    process.kill()
                time.sleep(OFTEN)
            seconds = time.perf_counter() - begun
            said.seek(0)
            words = said.read()
    if not came:
        came = KINDS.get(code, "failed")
        if code == 1 and "diverged at " in words:
            came = "diverged"
    if "Traceback" in words:
        came = "failed"
    return came, seconds, most / 1e9, words.strip()[-300:]


def _resident(process: int) -> int:
    """Bytes that a process holds in memory now; 0 where it has gone or the system does not say."""
    try:
        pages = int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--trainings", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    came, accepted, slowest = collections.Counter(), [], 0.0
    for text, what, seconds in configs(options.reads, options.seed):
        came[what] += 1
        slowest = max(slowest, seconds)
        assert seconds < READ_SECONDS, text
        if what == "read":
            accepted.append(text)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{options.reads:,} files: {dict(came)}, at most {slowest:.2f} s and {held:.2f} GB")
    drawn = random.Random(options.seed).sample(accepted, min(options.trainings, len(accepted)))
    ends, worst, largest = collections.Counter(), 0.0, 0.0
    for i, text in enumerate(drawn):
        what, seconds, gigabytes, words = trained(text)
        ends[what] += 1
        worst, largest = max(worst, seconds), max(largest, gigabytes)
        if what not in FINE:
            print(f"{i}: {what} after {seconds:.0f} s with {gigabytes:.1f} GB: {words}\n{text}")
    if drawn:
        print(f"{len(drawn)} trainings: {dict(ends)}, at most {worst:.0f} s and {largest:.2f} GB")


if __name__ == "__main__":
    main()
