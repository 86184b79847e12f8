"""Faults put into runs, and what is left of them: kills, flipped bits, cut and deleted files.

    python scripts/benchmarks/faults.py                      # all, about an hour on 2 cores
    python scripts/benchmarks/faults.py kills --count 10
    python scripts/benchmarks/faults.py flips cuts --output found.jsonl

Parts:
  kills  `kill -9` at random moments of runs and of a sweep, some inside a save, then `--resume`;
         now and then that is killed too. In the end the folder must be the undisturbed one.
  flips  one flipped bit in a file of a run: refused, told, or without any effect on what
         `--resume` makes of the folder.
  cuts   each file of a run cut short, emptied, or deleted: as flips.
  pairs  a run that was never interrupted, one that was stopped and resumed, and one that was begun
         cold from the same parameters, for each pair of an optimizer and a schedule, and of a
         control and an augmentation: the first two are the same to the byte, the third is not.
  long   a million steps of a tiny model: memory, speed and the size of the log.

Each fault that was tried is a line of `--output`; a call with the same file goes on after the last.
Every run is `jaxopt-lab` as a user calls it, in a process forked from one that has imported it.
"""

import argparse
import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator

import jinja2  # noqa: F401 - what a run imports, before the fork
import matplotlib.figure  # noqa: F401
import rich.live  # noqa: F401
import sklearn.datasets  # noqa: F401

from jaxopt_lab.cli import main as command
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.commands import sweep, train  # noqa: F401

warnings.filterwarnings("ignore", message=r"os\.fork")  # JAX has no threads yet

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = {
    "plain": ("digits_mlp", ["train.epochs=2"]),
    "snapshots": (
        "digits_nesterov_sgdr_snapshots",
        ["train.epochs=2", 'schedule.cycle="1 epochs"', "model.channels=[4]"],
    ),
    "augmix": ("digits_augmix", ["train.epochs=2", "model.channels=[4]"]),
    "controls": ("digits_plateau_early_stopping", ["train.epochs=4"]),
    "sweep": ("digits_lr_sweep", ["train.epochs=2"]),
}
OFTEN = ["train.checkpoint_every=5", "train.evaluate_every=5"]
TINY = """
seed = 0
[data]
name = "digits"
batch_size = 256
validation = 0.15
[model]
name = "linear"
[optimizer]
name = "adam"
learning_rate = 0.02
[train]
steps = 20
evaluate_every = 5
checkpoint_every = 5
"""
TOLD = ("damaged", "missing", "is not what was written", "holds no checkpoint")
CYCLES = ("cyclical", "sgdr")
"""Schedules at whose minima snapshots are taken."""
SLOW_SAVE = 0.003
"""Seconds that each sync of a file is made to last, so that kills fall into saves."""


def main() -> None:
    how = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--count", type=int, help="of faults of a part, or of one configuration")
    parser.add_argument("--output", type=pathlib.Path, help="a file of JSON lines to go on with")
    options = parser.parse_args()
    if wrong := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(wrong))}; there are {', '.join(PARTS)}")
    for part in options.parts or PARTS:
        done = _done(options.output, part)
        counted = collections.Counter(done.values())
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            for name, outcome in PARTS[part](pathlib.Path(folder), options.count, done):
                counted[outcome] += 1
                print(f"{part} {name}: {outcome}", file=sys.stderr)
                if options.output:
                    row = {"part": part, "name": name, "outcome": outcome}
                    with open(options.output, "a") as file:
                        file.write(json.dumps(row) + "\n")
        total = ", ".join(f"{n} {outcome}" for outcome, n in counted.most_common())
        print(f"{part}: {total or 'nothing'} ({time.perf_counter() - begun:.0f} s)", flush=True)


def _done(output: pathlib.Path | None, part: str) -> dict[str, str]:
    """The outcomes that a file has of a part already."""
    if output is None or not output.exists():
        return {}
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return {row["name"]: row["outcome"] for row in rows if row["part"] == part}


# --- a command in a process of its own


def forked(
    arguments: list[str],
    *,
    kill_after: float | None = None,
    save: tuple[pathlib.Path, int] | None = None,
) -> tuple[int, str, float]:
    """The exit code of a command, what it printed, and its seconds; -9 where it was killed.

    It is killed after so many seconds, or sooner when a file of a checkpoint in a folder is being
    written for the so-manieth time that this is seen.
    """
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        child = os.fork()
        if child == 0:
            for stream in (1, 2):
                os.dup2(said.fileno(), stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            code = 70
            try:
                if kill_after is not None:
                    _slow_down_saves()
                code = command(arguments)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        if kill_after is not None:
            seen = 0
            while time.perf_counter() - begun < kill_after:
                time.sleep(0.001)
                if save is not None:
                    seen += any((save[0] / "checkpoints").glob(".*.tmp"))
                    if seen >= save[1]:
                        break
                if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    break
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        seconds = time.perf_counter() - begun
        said.seek(0)
        text = said.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(status), text, seconds


def _slow_down_saves() -> None:
    sync = os.fsync

    def slow(handle: int) -> None:
        time.sleep(SLOW_SAVE)
        sync(handle)

    os.fsync = slow


def trained(arguments: list[str], **how) -> None:
    """Run a command that must succeed."""
    code, text, _ = forked(arguments, **how)
    if code:
        raise SystemExit(f"{' '.join(arguments)} ended with {code}:\n{text}")


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """All of a folder that must be the same to the byte."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        vague = path.name in ("timings.jsonl", "report.html", "runs.jsonl", ".lock")
        # The waves of a sweep follow the clock: what is in them is in its table.
        if path.is_file() and not vague and not name.startswith(("waves/", "progress/")):
            found[name] = path.read_bytes()
    if "summary.json" in found:
        values = json.loads(found["summary.json"])
        lasting = {k: v for k, v in values.items() if "second" not in k}
        found["summary.json"] = json.dumps(lasting).encode()
    if "sweep.toml" in found:
        found.pop("seal.json", None)  # it vouches for `runs.jsonl`
    return found


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> str:
    names = sorted({*one} ^ {*other}) + [n for n in one if n in other and one[n] != other[n]]
    return ", ".join(names)


# --- kills


def kills(root: pathlib.Path, count: int | None, done: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, (config, settings) in CONFIGS.items():
        kind = "sweep" if name == "sweep" else "train"
        often = [] if kind == "sweep" else OFTEN
        given = [f"--set={each}" for each in [*settings, *often]]
        begin = [kind, str(ROOT / "configs" / f"{config}.toml"), *given, "--run-dir"]
        names = [f"{name} {i}" for i in range(count or 100)]
        if not set(names) - done.keys():
            continue
        whole = root / name
        for _ in range(2):  # the second time with what is compiled already, as those killed
            shutil.rmtree(whole, ignore_errors=True)
            trained([*begin, str(whole)])
        shutil.rmtree(whole)
        _, _, seconds = forked([*begin, str(whole)])
        expected = contents(whole)
        for each in names:
            if each not in done:
                draw = random.Random(each)
                yield each, _killed(kind, begin, root / "killed", draw, seconds, expected)


def _killed(kind, begin, folder, draw, seconds, expected) -> str:
    shutil.rmtree(folder, ignore_errors=True)
    moment = {"kill_after": draw.uniform(0.2, 1.1) * seconds}
    if draw.random() < 0.5 and kind == "train":
        moment = {"kill_after": 2 * seconds, "save": (folder, draw.randint(1, 60))}
    code, _, _ = forked([*begin, str(folder)], **moment)
    inside = False
    while code == -signal.SIGKILL:
        inside |= _inside_a_save(folder)
        begun = any((folder / name).exists() for name in ("config.toml", "sweep.toml"))
        again = [kind, "--resume", str(folder)] if begun else [*begin, str(folder)]
        later = draw.uniform(0.2, 1.1) * seconds if draw.random() < 0.3 else None
        code, text, _ = forked(again, kill_after=later)
        if code not in (0, -signal.SIGKILL):
            return f"NOT RESUMED: {text.strip()[-200:]}"
    if wrong := differing(expected, contents(folder)):
        return f"OTHER BYTES: {wrong}"
    return "resumed to the same bytes" + (", killed inside a save" if inside else "")


def _inside_a_save(folder: pathlib.Path) -> bool:
    half = any(folder.rglob(".*.tmp"))
    archives = {path.with_suffix("") for path in folder.rglob("step-*.npz")}
    return half or bool(archives - {path.with_suffix("") for path in folder.rglob("step-*.json")})


# --- flipped bits, cut and deleted files


def flips(root: pathlib.Path, count: int | None, done: dict[str, str]) -> Iterator[tuple[str, str]]:
    whole = _tiny(root)
    files = _vouched(whole)
    for i in range(count or 1000):
        if str(i) not in done:
            draw = random.Random(i)
            path = draw.choice(files)
            content = bytearray((whole / path).read_bytes())
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            yield str(i), f"{path.parts[0]}: {_mended(root, whole, path, bytes(content))}"


def cuts(root: pathlib.Path, count: int | None, done: dict[str, str]) -> Iterator[tuple[str, str]]:
    whole = _tiny(root)
    files = _vouched(whole)
    ways = [("deleted", path) for path in files] + [("emptied", path) for path in files]
    for i in range((count or 100) + len(ways)):
        if str(i) in done:
            continue
        draw = random.Random(i)
        how, path = ways[i] if i < len(ways) else ("cut", draw.choice(files))
        before = (whole / path).read_bytes()
        content = {"deleted": None, "emptied": b"", "cut": before[: draw.randrange(len(before))]}
        yield str(i), f"{how} {path.parts[0]}: {_mended(root, whole, path, content[how])}"


def _tiny(root: pathlib.Path) -> pathlib.Path:
    (root / "tiny.toml").write_text(TINY)
    trained(["train", str(root / "tiny.toml"), "--run-dir", str(root / "whole")])
    return root / "whole"


def _vouched(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files of a run but for what is drawn of them, and for what the clock said."""
    vague = (".lock", "timings.jsonl", "report.html")
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if path.name not in vague and path.parts[0] != "plots"]


def _mended(root: pathlib.Path, whole: pathlib.Path, path: pathlib.Path, content) -> str:
    """What `--resume` and `verify` make of a folder with a fault in one of its files."""
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    (folder / path).unlink() if content is None else (folder / path).write_bytes(content)
    seen = forked(["verify", str(folder)])[0] == 1
    code, text, _ = forked(["train", "--resume", str(folder)])
    if "Traceback" in text:
        return f"TRACEBACK at {path}: {text.strip()[-300:]}"
    same = not differing(contents(whole), contents(folder))
    told = any(word in text for word in TOLD)
    if code == 2:
        return "refused"
    if code != 0:
        return f"EXIT CODE {code} at {path}: {text.strip()[-300:]}"
    if same:
        return "told, and mended to the same bytes" if told else "mended to the same bytes"
    return "told, and gone on" if told else f"ACCEPTED IN SILENCE at {path}" + " (seen)" * seen


# --- what a checkpoint holds


def pairs(root: pathlib.Path, count: int | None, done: dict[str, str]) -> Iterator[tuple[str, str]]:
    sys.path[:0] = [str(ROOT / "tests" / "run"), str(ROOT / "tests")]
    import test_three_way

    for names in itertools.islice(_pairwise(), count):
        each = " ".join(names.values())
        if each in done:
            continue
        place = root / "checkpoints"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            whole, resumed, cold = test_three_way.three_ways(place, **names)
        except InputError as error:
            yield each, f"refused: {str(error).splitlines()[-1].strip()}"
            continue
        if test_three_way.bits(resumed) != test_three_way.bits(whole):
            yield each, "RESUMED IS OTHER BYTES"
        elif test_three_way.bits(cold.params) == test_three_way.bits(whole.params):
            yield each, "COLD START IS THE SAME"
        else:
            yield each, "resumed to the same bytes, and a cold start is another"


def _pairwise() -> Iterator[dict[str, str]]:
    """Every pair of names of two of the four families, each in at least one run.

    A run of snapshots without cycles is refused: its other pairs come again in one that is not.
    """
    families = ("optimizer", "augment", "schedule", "control")
    names = {family: [*FAMILIES[family].functions] for family in families}
    seen: set[tuple[str, str]] = set()
    wanted = {
        (a, b)
        for one, other in itertools.combinations(families, 2)
        for a in names[one]
        for b in names[other]
    }
    refused = {(name, "snapshots") for name in names["schedule"] if name not in CYCLES}
    draw, trained = random.Random(0), set[tuple[str, str]]()
    for impossible in (set[tuple[str, str]](), refused):
        while wanted - seen:
            # Begin with a pair that is still to come, and choose the best of some for the others.
            first = min(wanted - seen)
            runs = []
            for _ in range(30):
                run = {family: draw.choice(names[family]) for family in families}
                run |= {f: name for f in families for name in first if name in names[f]}
                runs.append((len(_pairs_of(run) - seen), run))
            runs = [found for found in runs if not _pairs_of(found[1]) & impossible]
            if not runs:
                continue
            _, best = max(runs, key=lambda found: found[0])
            seen |= _pairs_of(best)
            if not _pairs_of(best) & refused:
                trained |= _pairs_of(best)
            yield best
        seen = trained | refused


def _pairs_of(run: dict[str, str]) -> set[tuple[str, str]]:
    return set(itertools.combinations(run.values(), 2))


def long(root: pathlib.Path, count: int | None, done: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The memory at the end of a long run and its speed, over those of its first half."""
    if done:
        return
    steps = count or 10**6
    (root / "tiny.toml").write_text(TINY)
    settings = {
        "data.batch_size": 8,
        "train.steps": steps,
        "train.evaluate_every": steps // 100,
        "train.checkpoint_every": steps // 20,
        "train.log_every": max(1, steps // 1000),
    }
    given = [f"--set={key}={value}" for key, value in settings.items()]
    run = root / "long"
    arguments = ["train", str(root / "tiny.toml"), *given, "--run-dir", str(run)]
    with open(os.devnull, "w") as nowhere:
        child = subprocess.Popen(
            [sys.executable, "-m", "jaxopt_lab.cli", *arguments], stdout=nowhere
        )
        sizes = []  # of the log, and of the memory
        while child.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                pages = int(pathlib.Path(f"/proc/{child.pid}/statm").read_text().split()[1])
                log = (run / "metrics.jsonl").stat().st_size
                sizes.append((log, pages * resource.getpagesize()))
            time.sleep(0.02)
    rows = [json.loads(line) for line in (run / "timings.jsonl").read_text().splitlines()]
    chunks = [row for row in rows if "steps" in row]
    halves = chunks[1 : len(chunks) // 2], chunks[len(chunks) // 2 :]
    speeds = [sum(c["steps"] for c in half) / sum(c["seconds"] for c in half) for half in halves]
    log = (run / "metrics.jsonl").stat().st_size
    # What comes after the last step, as drawing does, is left out.
    half, end = (max(m for at, m in sizes if at < part * log) for part in (0.5, 1.0))
    yield (
        f"{steps:,} steps",
        (
            f"memory {end / half:.3f}, speed {speeds[1] / speeds[0]:.3f} of the first half's; "
            f"{end / 2**20:.0f} MiB, {speeds[1]:,.0f} steps a second, a log of "
            f"{log / 1000:,.0f} kB; "
            f"exit code {child.returncode}"
        ),
    )


PARTS: dict[str, Callable[..., Iterator[tuple[str, str]]]] = {
    "kills": kills,
    "flips": flips,
    "cuts": cuts,
    "pairs": pairs,
    "long": long,
}

if __name__ == "__main__":
    main()
