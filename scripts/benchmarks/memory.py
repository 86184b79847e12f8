"""The most memory that a command holds, over its data and what XLA says that its programs take.

    python scripts/benchmarks/memory.py                       # digits: a run, and a sweep of 256
    python scripts/benchmarks/memory.py --data-dir DIR        # ResNet-20 on CIFAR-10 too

Each command runs in a process of its own, on a CPU. Told are: its most resident memory less what it
holds once everything is imported; the bytes of its data, each array once; and of all programs that
it compiles the largest by `memory_analysis()`, without the data among its arguments.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

from racing import parser_of, record

ROOT = pathlib.Path(__file__).parents[2]
MIB = 2**20
COMPILED = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"}  # here, not read from a disk
LITTLE = 50 * MIB  # below which the compiler's own memory is all that there is
DIGITS = {
    "digits, one run": ["train", "configs/digits_mlp.toml"],
    "digits, 256 runs": ["sweep", "configs/digits_lr_sweep.toml", "--set", "sweep.seeds=16"],
}
CIFAR = {"CIFAR-10, ResNet-20": ["train", "configs/cifar10_resnet20.toml"]}


def held(command: list[str]) -> None:
    """Run a command in this process, and print what it held as JSON."""
    sys.path[:0] = [str(ROOT)]
    import jinja2  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import numpy as np
    from jax._src import compiler  # there is no public word of every program

    import jaxopt_lab.plots  # noqa: F401
    from jaxopt_lab.cli import main
    from jaxopt_lab.config import source
    from jaxopt_lab.run.commands import sweep, train  # noqa: F401

    programs, data, compiling, reading = [0], [0], compiler.compile_or_get_cached, source.split

    def compiled(*given, **named):
        found = compiling(*given, **named)
        stats = found.get_compiled_memory_stats()
        taken = stats.temp_size_in_bytes + stats.output_size_in_bytes + stats.argument_size_in_bytes
        programs.append(taken - min(stats.argument_size_in_bytes, data[0]))
        return found

    def split(*given, **named):
        found = reading(*given, **named)
        parts = [part or {} for part in (found.train, found.validation, found.test)]
        data[0] = sum(np.asarray(v).nbytes for part in parts for v in part.values())
        return found

    compiler.compile_or_get_cached, source.split = compiled, split
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before = _status("VmRSS")
    code = main(command)
    found = {"before": before, "peak": _status("VmHWM"), "data": data[0], "program": max(programs)}
    print(json.dumps(found | {"code": code}))


def _status(name: str) -> int:
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def main() -> None:
    if sys.argv[1:2] == ["--held"]:
        held(sys.argv[2:])
        return
    parser = parser_of(__doc__, [], "four steps of each run, for 40 of ResNet-20")
    parser.add_argument("--data-dir", type=pathlib.Path, help="where CIFAR-10 lies")
    options = parser.parse_args()
    commands = dict(DIGITS)
    if options.data_dir:
        place = ["--data-dir", str(options.data_dir.resolve())]
        commands |= {name: [*given, *place] for name, given in CIFAR.items()}
    print(f"{'MiB':<22}{'peak':>8}{'imports':>9}{'data':>7}{'program':>9}{'ratio':>7}")
    for name, given in commands.items():
        with tempfile.TemporaryDirectory() as folder:
            given = [*given, "--run-dir", f"{folder}/run"]
            if options.quick or name in CIFAR:
                steps = 4 if options.quick else 40
                given += ["--unset", "train.epochs", "--set", f"train.steps={steps}"]
                given += ["--set", f"train.evaluate_every={steps // 2}"]
            call = [sys.executable, __file__, "--held", *given]
            done = subprocess.run(
                call, env=COMPILED, cwd=ROOT, capture_output=True, text=True, check=True
            )
        found = json.loads(done.stdout.splitlines()[-1])
        assert found.pop("code") == 0, done.stderr
        stated = found["data"] + found["program"]
        found["ratio"] = (found["peak"] - found["before"]) / stated
        sizes = [found[what] / MIB for what in ("peak", "before", "data", "program")]
        shown = "".join(f"{size:>{w},.0f}" for size, w in zip(sizes, (8, 9, 7, 9), strict=True))
        ratio = f"{found['ratio']:>7.2f}" if stated > LITTLE else f"{'-':>7}"
        print(f"{name:<22}{shown}{ratio}", flush=True)
        record(name, found, "bytes, and their ratio")


if __name__ == "__main__":
    main()
