"""What optax's own transformations keep of what `jaxopt_lab.testing` looks at, as a matrix.

    python scripts/conformance_of_optax.py --output matrix.md
    python scripts/conformance_of_optax.py adam contrib.sam

Looks at every public transformation of `optax` and `optax.contrib`, in two processes, each with two
devices. One that takes longer than `--seconds` has a row that says so. Twelve minutes of CPU time.
"""

import argparse
import collections
import importlib.metadata
import inspect
import multiprocessing
import os
import pathlib
import platform
import queue
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from jaxopt_lab.core.registry import nearest

MARKS = {"held": ".", "broken": "X", "skipped": "s", "not looked at": " "}
NOISE = "its noise is drawn in the dtype of the gradients, so that other numbers come out"
UNMASKED = "optax.masked leaves the extra argument grad as it is, unless it is told to mask it"
SEARCHED = "its line search answers a rate of 0, and a point that does not move has no curvature"
STILL = "the count of what it wraps stands still at the steps that it leaves out"
MEMBER = "a member of a chain, which does not descend by itself"


class Row(NamedTuple):
    """A transformation, and what became of every promise."""

    name: str
    marks: str
    findings: dict[str, str]
    note: str = ""


def _public() -> dict[str, Callable[..., Any]]:
    """All functions of optax that give a transformation, by name, those of contrib with it."""
    import optax
    from optax import contrib

    found = {}
    for prefix, module in (("", optax), ("contrib.", contrib)):
        for name in sorted(dir(module)):
            function = getattr(module, name)
            if name.startswith("_") or not inspect.isroutine(function):
                continue
            gives = str(inspect.signature(function).return_annotation)
            own = (name in UNANNOTATED) if prefix == "" else name not in ACCESSORS
            if "GradientTransformation" in gives or own:
                found[prefix + name] = function
    return found


UNANNOTATED = {"monitor", "scale_by_factored_rms"}
ACCESSORS = {"schedule_free_eval_params"}

# What no transformation of gradients can be made of without more, and why.
NOT_BUILT = {
    "contrib.differentially_private_aggregate": "takes the gradients of each sample",
    "contrib.dpsgd": "takes the gradients of each sample",
    "inject_stateful_hyperparams": "a wrapper that a promise of its own looks at",
    "inject_hyperparams": "a wrapper that a promise of its own looks at",
    "masked": "a wrapper that a promise of its own looks at",
    "multi_transform": "another name of partition",
    "partition": "a wrapper that a promise of its own looks at",
    "measure_with_ema": "gives a measurement in place of updates; see monitor",
    "contrib.hutchinson_estimator_diag_hessian": "gives a Hessian in place of updates; see sophia",
    "named_chain": "a chain; every promise puts others into chains",
    "contrib.scale_by_muon": "takes a tree of dimension numbers with the parameters; see muon",
    "contrib.scale_by_madgrad": "gives parameters of its own in place of gradients; see madgrad",
}


def _made() -> dict[str, dict[str, Any]]:
    """How those are looked at that need more than their own defaults."""
    import jax
    import jax.numpy as jnp
    import optax
    from optax import contrib

    sgd, adam = optax.sgd, optax.adam
    value = {"extras": ("value",)}
    search = {
        "extras": ("value", "grad", "value_fn"),
        "skip": dict.fromkeys(("masked", "partition"), UNMASKED),
    }
    noisy = {"skip": {"bfloat16_accuracy": NOISE}}
    rate = lambda number: {"arguments": {"learning_rate": number}}  # noqa: E731
    of = lambda make: {"tx": make}  # noqa: E731
    return {
        # Rates at which a quadratic of two variables is solved in 1000 steps.
        **{n: rate(1.0) for n in ("adadelta", "contrib.dog", "contrib.dowg", "contrib.momo")},
        **{n: rate(1.0) for n in ("contrib.prodigy", "contrib.dadapt_adamw", "contrib.cocob")},
        "lars": {"arguments": {"learning_rate": 1.0, "trust_coefficient": 0.1}},
        "contrib.momo": {**rate(1.0), **value},
        "contrib.momo_adam": value,
        "contrib.sophia": {"extras": ("obj_fn",)},
        "polyak_sgd": value,
        "scale_by_polyak": value,
        "lbfgs": {**search, "skip": {**search["skip"], "schedule": SEARCHED}},
        "scale_by_backtracking_linesearch": {**search, "arguments": {"max_backtracking_steps": 5}},
        "scale_by_zoom_linesearch": {**search, "arguments": {"max_linesearch_steps": 5}},
        "adaptive_grad_clip": {"arguments": {"clipping": 0.1}},
        "add_noise": {**noisy, "arguments": {"eta": 0.1, "gamma": 0.5, "key": 0}},
        "noisy_sgd": {**noisy, "arguments": {"learning_rate": 0.1, "key": 0}},
        "apply_if_finite": of(lambda learning_rate: optax.apply_if_finite(sgd(learning_rate), 3)),
        "chain": of(lambda learning_rate: optax.chain(optax.clip(1.0), sgd(learning_rate))),
        "clip": {"arguments": {"max_delta": 0.5}},
        "clip_by_block_rms": {"arguments": {"threshold": 0.5}},
        "clip_by_global_norm": {"arguments": {"max_norm": 0.5}},
        "conditionally_mask": {
            "tx": lambda learning_rate: optax.conditionally_mask(
                sgd(learning_rate), lambda step: jnp.mod(step, 2) == 1
            ),
            "skip": {"schedule": STILL},
        },
        "conditionally_transform": {
            "tx": lambda learning_rate: optax.conditionally_transform(
                sgd(learning_rate), lambda step: jnp.mod(step, 2) == 1
            ),
            "skip": {
                "converges": "every other step is the gradient as it is, upwards",
                "schedule": STILL,
            },
        },
        "ema": {"arguments": {"decay": 0.9}},
        "flatten": of(lambda learning_rate: optax.flatten(adam(learning_rate))),
        "freeze": {"arguments": {"mask": False}},
        "selective_transform": of(
            lambda learning_rate: optax.selective_transform(sgd(learning_rate), freeze_mask=False)
        ),
        "monitor": {"arguments": {"measures": {"norm": optax.tree.norm}}},
        "snapshot": {"arguments": {"measure_name": "norm", "measure": optax.tree.norm}},
        "scale_by_learning_rate": rate(0.1),
        "scale": {"arguments": {"step_size": 0.5}},
        "scale_by_schedule": of(optax.scale_by_schedule(lambda step: 1 / (1 + step))),
        "scale_by_rprop": {"skip": {"converges": MEMBER}},
        "stateless": of(optax.stateless(lambda updates, params: updates)),
        "stateless_with_tree_map": of(optax.stateless_with_tree_map(lambda g, p: g)),
        "trace": {"arguments": {"decay": 0.9}},
        "with_extra_args_support": of(
            lambda learning_rate: optax.with_extra_args_support(sgd(learning_rate))
        ),
        "contrib.mechanize": of(lambda learning_rate: contrib.mechanize(sgd(learning_rate))),
        "contrib.reduce_on_plateau": {**value, "metric": lambda number: {"value": number}},
        "contrib.sam": {
            "tx": lambda learning_rate: contrib.sam(sgd(learning_rate), sgd(0.05)),
            "skip": {"schedule": "every other step is the adversary's"},
        },
        "contrib.schedule_free": of(
            lambda learning_rate: contrib.schedule_free(sgd(learning_rate), learning_rate)
        ),
        "contrib.split_real_and_imaginary": of(
            lambda learning_rate: contrib.split_real_and_imaginary(adam(learning_rate))
        ),
        "lookahead": {
            "tx": lambda learning_rate: optax.lookahead(sgd(learning_rate), 2, 0.5),
            "params": optax.LookaheadParams.init_synced({"w": jnp.linspace(-1.0, 1.0, 3)}),
            "grads": lambda params, step: jax.tree.map(lambda p: jnp.cos(3 * p), params.fast),
            "bound": True,
        },
    }


def _row(name: str) -> Row:
    """Look at one."""
    from jaxopt_lab import testing

    check = testing.check_transformation
    options = _made().get(name, {})
    tx = options.get("tx", _public()[name])
    given = {**options, "tx": tx, "complex_numbers": True, "name": name}
    missing = _missing(tx, options.get("arguments", {}))
    if missing:
        return Row(name, "", {}, f"not built: it needs {', '.join(missing)}")
    try:
        report = check(**given)
    except testing.BrokenPromisesError as error:
        report = error.report
    broken = {each.name: each.found for each in report.broken}
    kinds = dict.fromkeys(report.held, "held") | dict.fromkeys(broken, "broken")
    kinds |= dict.fromkeys(report.skipped, "skipped")
    names = [promise.name for promise in testing.promises(check)]
    return Row(name, "".join(MARKS[kinds.get(n, "not looked at")] for n in names), broken)


def _missing(tx: Any, arguments: dict[str, Any]) -> list[str]:
    """The arguments that a factory must have, and that nothing gives."""
    if hasattr(tx, "update"):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(tx).parameters.values()
    must = [p.name for p in parameters if p.kind in named and p.default is p.empty]
    return [name for name in must if name not in {*arguments, "learning_rate"}]


class _Worker:
    """A process that looks at one transformation after another."""

    def __init__(self, seconds: float):
        self.seconds, self.process = seconds, None

    def look(self, name: str) -> Row:
        """The row of one; one that takes too long, or ends the process, is a row too."""
        if self.process is None:
            self.pipe, end = multiprocessing.Pipe()
            make = multiprocessing.get_context("spawn").Process
            self.process = make(target=_work, args=(end,), daemon=True)
            self.process.start()
            end.close()
        self.pipe.send(name)
        try:
            if self.pipe.poll(self.seconds):
                return self.pipe.recv()
            why = f"stopped after {self.seconds:g} seconds"
        except EOFError:
            why = "ended the process"
        self.process.kill()
        self.process = None
        return Row(name, "", {}, why)

    def close(self) -> None:
        """Let the process end."""
        if self.process is not None:
            self.pipe.send(None)
            self.process.join()


def _work(pipe: Connection) -> None:
    import jax

    flags = ["--xla_force_host_platform_device_count=2"]
    # Nearly all of the time is compilation, which these make cheap, as tests/conftest.py says.
    if jax.__version_info__ < (0, 11):
        flags += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags])
    jax.config.update("jax_disable_most_optimizations", True)
    for count, name in enumerate(iter(pipe.recv, None), 1):
        try:
            row = _row(name)
        except Exception as error:
            row = Row(name, "", {}, f"{type(error).__name__}: {error}".partition("\n")[0])
        pipe.send(row)
        if count % 10 == 0:
            jax.clear_caches()


def looked_at(names: list[str], seconds: float, processes: int = 2) -> Iterator[Row]:
    """The rows of these transformations, in their order."""
    free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    for _ in range(processes):
        free.put(_Worker(seconds))

    def one(name: str) -> Row:
        worker = free.get()
        try:
            return worker.look(name)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(processes) as pool:
        yield from pool.map(one, names)
    for _ in range(processes):
        free.get().close()


def markdown(rows: list[Row], promises: list[str]) -> str:
    """The matrix, its legend, and what was found."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("optax", "jax", "numpy")]
    looked = [row for row in rows if row.marks]
    whole = sum("X" not in row.marks for row in looked)
    lines = [
        f"{', '.join(versions)}, Python {platform.python_version()}, on {platform.system()}'s CPU.",
        f"{len(looked)} transformations; {whole} keep all that could be looked at.",
        "",
        "A column is a promise:",
        "",
        *_wrapped(", ".join(f"{i} {name}" for i, name in enumerate(promises, 1)) + "."),
        "",
        "`.` held, `X` broken, `s` skipped with a reason, empty: not looked at, because",
        "there is no such hyperparameter, or because it needs a promise that is broken.",
        "",
        f"| |{'|'.join(str(i) for i in range(1, len(promises) + 1))}|",
        f"|---|{'|'.join('-' for _ in promises)}|",
        *(f"|`{row.name}`|{'|'.join(row.marks)}|" for row in looked),
        "",
        "What was found, by promise; a finding that several have in common is told once:",
        "",
    ]
    for name in promises:
        found = collections.defaultdict(list)
        for row in looked:
            if name in row.findings:
                found[re.sub(r"\s*\bat /\S+", "", row.findings[name])].append(f"`{row.name}`")
        for text, which in found.items():
            lines += _wrapped(f"- **{name}** {', '.join(which)}: {_code(text)}", "  ")
    others = [row for row in rows if not row.marks]
    if others:
        lines += ["", "Not in the matrix:", ""]
        lines += [f"- `{row.name}`: {row.note}" for row in others]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """A finding as code, which no page takes for markup."""
    most = 160
    cut = text if len(text) <= most else f"{text[:most]} ..."
    return f"``{cut}``" if "`" in cut else f"`{cut}`"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def main(arguments: list[str] | None = None) -> None:
    """Look, and write the matrix."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="transformations; all public ones unless given")
    parser.add_argument("--output", help="a Markdown file; standard output unless given")
    parser.add_argument("--seconds", type=float, default=300.0, help="at most, of one")
    options = parser.parse_args(arguments)
    from jaxopt_lab import testing

    known = list(_public())
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no transformation {unknown[0]!r}{nearest(unknown[0], known)}")
    names = options.names or known
    rows, start = [], time.monotonic()
    asked = [name for name in names if name not in NOT_BUILT]
    for row in looked_at(asked, options.seconds):
        rows.append(row)
        took = time.monotonic() - start
        print(f"{took:5.0f} s {len(rows)}/{len(asked)} {row.name} {row.note}", file=sys.stderr)
    rows += [Row(name, "", {}, NOT_BUILT[name]) for name in names if name in NOT_BUILT]
    promises = [promise.name for promise in testing.promises(testing.check_transformation)]
    text = markdown(rows, promises)
    if options.output:
        pathlib.Path(options.output).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
