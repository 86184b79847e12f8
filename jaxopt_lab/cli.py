"""`jaxopt-lab`: the command line. Exit codes: 0 done, 2 wrong input, 130 interrupted, 1 other."""

import argparse
import contextlib
import dataclasses
import errno
import gc
import io
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import jaxopt_lab
from jaxopt_lab.core.readable import in_a_line, readable
from jaxopt_lab.run.process.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from jaxopt_lab.run.process.interrupt import EndsAtOnce, ending_at_once, leave_quietly
from jaxopt_lab.run.terminal.streams import give_streams, let_go


def main(arguments: Sequence[str] | None = None, extend: Mapping[str, Any] | None = None) -> int:
    """Run one command of the command line.

    At the end of a script `jaxopt_lab.main(extend={"model": [my_net]})` is the whole command line
    with names of one's own: `python my_script.py train my_net.toml`.

    Args:
      arguments: of the command; None for those of this process, which ends with the exit code
        where that is not 0.
      extend: names of one's own, as of `jaxopt_lab.extended`.

    Returns:
      The exit code.
    """
    alone = arguments is None
    if alone:
        # What is imported and traced stays: Python need not look through it for garbage each time
        # that there is a little more of it, which takes a sixth of the time to a first step.
        gc.set_threshold(100_000, 20, 100)
    # While nothing can be saved, as in compiling, SIGTERM and SIGHUP end a command as Ctrl-C does.
    with ending_at_once(of_process=alone) as ends:
        try:
            code = _main(arguments, extend, ends)
        except KeyboardInterrupt:  # before there is a command
            code = INTERRUPTED
    if alone:
        leave_quietly()
        if code:
            sys.exit(code)
    return code


def _main(
    arguments: Sequence[str] | None,
    extend: Mapping[str, Any] | None,
    ends: EndsAtOnce,
) -> int:
    give_streams()
    options = _parsed(arguments)
    for stream in (sys.stdout, sys.stderr):
        # What a terminal cannot show must not end a run that has done its work.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # Imported here: `--help` must not wait for JAX, nor a family be imported for nothing.
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.process.last_words import aborted, failed

    try:
        with _own_names(options, extend), ends.heard():
            code = options.command(options)
            sys.stdout.flush()  # here, where it is told that nobody reads or the disk is full
            return code
    except InputError as error:
        _say_aside(error)
        return WRONG_INPUT
    except KeyboardInterrupt:
        _say_aside(aborted(options.called, getattr(options, "taken", None)))
        return INTERRUPTED
    except (RuntimeError, AssertionError, MemoryError) as error:
        from jaxopt_lab.run.process.cores import why_no_devices
        from jaxopt_lab.run.process.out_of_memory import why_no_memory

        why = why_no_memory(error) or why_no_devices()
        if why is None:
            raise
        _say_aside(why)
        return WRONG_INPUT
    except BrokenPipeError:
        # Its reader has seen enough. A run says all it says by a console that outlives its reader.
        let_go(sys.stdout)
        return DONE
    except OSError as error:
        _say_aside(failed(error, options.called, getattr(options, "taken", None)))
        # A name that no file can have is wrong whatever the machine does.
        return WRONG_INPUT if error.errno == errno.ENAMETOOLONG else FAILED


def _say_aside(text: Any) -> None:
    """Print to standard error, which may be a terminal that is gone."""
    try:
        print(readable(str(text)), file=sys.stderr)
    except OSError:
        let_go(sys.stderr)


@contextlib.contextmanager
def _own_names(options: argparse.Namespace, extend: Mapping[str, Any] | None) -> Iterator[None]:
    """While it is entered, names of one's own stand beside those of the house."""
    from jaxopt_lab.core.errors import Notice

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("always", Notice)
        show, said = warnings.showwarning, set[str]()

        def as_a_line(message, category, *where, **how):
            if not issubclass(category, Notice):
                show(message, category, *where, **how)
            elif str(message) not in said:
                print(message, file=sys.stderr)
                said.add(str(message))

        warnings.showwarning = as_a_line
        if extend is not None or options.module is not None:
            from jaxopt_lab.config.own import extended
            from jaxopt_lab.run.process.own_module import own_module

            if extend is not None:
                stack.enter_context(extended(extend))
            if options.module is not None:
                stack.enter_context(own_module(options.module))
        yield


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    options, others = _parser().parse_known_args(arguments)
    if others:
        options.refuse(_unknown(others, options))
    return options


def _unknown(others: Sequence[str], options: argparse.Namespace) -> str:
    """What is said of arguments that a command does not have, and what may have been meant."""
    from jaxopt_lab.core.registry import nearest

    text = f"unrecognized arguments: {' '.join(others)}"
    word = others[0].lstrip("-").partition("=")[0]
    changes = hasattr(options, "set")
    if others[0].startswith("-"):
        if word in _NO_OPTIONS:
            return f"{text}; {word.upper()} is given as it is, with no option before it"
        known = [name.replace("_", "-") for name in vars(options) if name not in _NO_OPTIONS]
        text += nearest(word, known).replace("'", "'--", 1)
        if changes:
            text += "; what is in the file is changed by --set optimizer.learning_rate=3e-4"
    elif changes and (options.set or getattr(options, "grid", None)):
        text += """; a value with a space is quoted whole: --set 'data.name="two words"'"""
    return text


_CONFIG = "a TOML file, or a name of `jaxopt-lab configs`"
_NO_OPTIONS = {
    *("config", "runs", "run", "other", "files", "folder", "family"),  # given by their place
    *("called", "command", "refuse", "taken"),
}


class _Parser(argparse.ArgumentParser):
    """argparse's, whose errors repeat what was typed and so may hold anything."""

    def error(self, message: str) -> NoReturn:
        if message.endswith(": COMMAND"):
            message += "; `jaxopt-lab --help` says what each does"
        elif choice := re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message):
            from jaxopt_lab.core.registry import nearest

            message += nearest(choice[1], re.findall(r"[\w-]+", choice[2]))
        super().error(readable(message))


def _parser() -> argparse.ArgumentParser:
    """Every command with its options; `options.command` is the function that it runs."""
    parser = _Parser(prog="jaxopt-lab", description="Train networks in JAX from one TOML file.")
    parser.add_argument(
        "--version", action="version", version=f"jaxopt_lab {jaxopt_lab.__version__}"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="called")

    train = commands.add_parser("train", help="train from a configuration, or resume a run")
    train.add_argument("config", nargs="?", metavar="CONFIG", help=_CONFIG)
    _add_config_options(train)
    train.add_argument("--run-dir", metavar="DIR", help="default: runs/CONFIG-001 and on")
    train.add_argument("--resume", metavar="RUN", help="continue the run in this folder")
    train.add_argument(
        "--from-step",
        type=int,
        metavar="N",
        help="with --resume, from the checkpoint of step N, and drop what came after it",
    )
    train.add_argument(
        "--epochs",
        type=float,
        metavar="E",
        help="with --resume, a new run from the last state of RUN, of so many epochs in all",
    )
    train.add_argument("--steps", type=int, metavar="N", help="the same in steps")
    _add_backup_option(train, "run")
    _add_devices_option(train, "share the run among N devices, of which [mesh] says how")
    train.add_argument(
        "--mesh",
        metavar="NAME=N,...",
        help="in place of [mesh]: data=4,model=2 or shard=full; with --dry-run of any size",
    )
    train.add_argument(
        "--distributed", action="store_true", help="be one process of a run on several hosts"
    )
    train.add_argument(
        "--coordinator", metavar="HOST:PORT", help="of process 0, with --distributed"
    )
    train.add_argument("--process-id", type=int, metavar="I", help="of this process, from 0")
    train.add_argument("--process-count", type=int, metavar="N", help="of the whole run")
    train.add_argument(
        "--profile", metavar="DIR", help="a trace of the first 10 seconds, to open in TensorBoard"
    )
    train.add_argument("--dry-run", action="store_true", help="shapes and memory, no training")
    train.add_argument("--print-config", action="store_true", help="print every setting and stop")
    train.set_defaults(command=_train)

    sweep = commands.add_parser("sweep", help="train many runs as one program, and compare them")
    sweep.add_argument("config", nargs="?", metavar="CONFIG", help="a TOML file with [sweep]")
    sweep.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="a further axis, 'optimizer.learning_rate={log = [1e-4, 1.0], n = 16}' for one",
    )
    _add_config_options(sweep)
    sweep.add_argument("--run-dir", metavar="DIR", help="default: runs/CONFIG-001 and on")
    sweep.add_argument("--resume", metavar="RUN", help="go on with the sweep in this folder")
    _add_backup_option(sweep, "sweep")
    sweep.add_argument(
        "--batch-size-scan",
        action="store_true",
        help="the loss against the batch size, and the gradient noise scale",
    )
    _add_devices_option(sweep, "how many devices; default: all, and of a CPU one for each core")
    sweep.set_defaults(command=_sweep)

    linear = commands.add_parser("linear", help="solve a linear model, for one lambda or many")
    linear.add_argument("config", metavar="CONFIG", help="a TOML file with [data] and [linear]")
    _add_config_options(linear)
    linear.add_argument("--run-dir", metavar="DIR", help="default: runs/CONFIG-001 and on")
    linear.set_defaults(command=_linear)

    plot = commands.add_parser("plot-schedule", help="draw the learning rate before training")
    plot.add_argument("config", metavar="CONFIG", help=_CONFIG)
    plot.add_argument("--output", metavar="PNG", help="default: CONFIG-schedule.png, here")
    _add_config_options(plot)
    plot.set_defaults(command=_plot_schedule)

    find = commands.add_parser("find-lr", help="Smith's range test: a learning rate to begin with")
    find.add_argument("config", metavar="CONFIG", help=_CONFIG)
    find.add_argument(
        "--low", type=float, default=1e-6, help="the first rate; default: %(default)s"
    )
    find.add_argument(
        "--high", type=float, default=10.0, help="the last rate; default: %(default)s"
    )
    find.add_argument("--steps", type=int, default=200, help="default: %(default)s")
    find.add_argument("--seeds", type=int, default=4, help="runs at once; default: %(default)s")
    find.add_argument("--output", metavar="PNG", help="default: CONFIG-find-lr.png, here")
    find.add_argument(
        "--apply",
        nargs="?",
        const="",
        metavar="TOML",
        help="write a copy of CONFIG with the rate by `valley`; default: CONFIG-lr.toml, here",
    )
    _add_config_options(find)
    find.set_defaults(command=_find_lr)

    evaluate = commands.add_parser("evaluate", help="test trained runs, on corrupted images too")
    evaluate.add_argument(
        "runs", nargs="+", metavar="RUN", help="folders of runs or sweeps, side by side"
    )
    evaluate.add_argument("--corruptions", action="store_true", help="15 of them, 5 severities")
    evaluate.add_argument(
        "--step", type=int, metavar="N", help="the checkpoint of step N; default: what a run kept"
    )
    _add_member_option(evaluate, "; default: the best")
    evaluate.add_argument("--samples", type=int, metavar="N", help="the first N test images only")
    _add_data_option(evaluate)
    evaluate.set_defaults(command=_evaluate)

    comparing = commands.add_parser("compare", help="runs over each other, and what differs")
    comparing.add_argument("runs", nargs="+", metavar="RUN", help="run folders, two or more")
    comparing.add_argument("--output", metavar="HTML", help="default: comparison.html, here")
    comparing.add_argument("--force", action="store_true", help="write over what is there")
    comparing.add_argument("--json", action="store_true", help="print JSON, and write no page")
    comparing.set_defaults(command=_compare)

    listed = commands.add_parser("runs", help="the runs in a folder: state, score, age, size")
    listed.add_argument("folder", nargs="?", default="runs", metavar="DIR", help="default: runs")
    listed.add_argument(
        "--sort",
        default="name",
        metavar="BY",
        help="name, score, age, size, state or a value, optimizer.name for one",
    )
    listed.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="those only, optimizer.name=adam or 'test.loss<0.1' for one; may be repeated",
    )
    listed.add_argument("--json", action="store_true", help="print JSON in place of a table")
    listed.set_defaults(command=_runs)

    pruned = commands.add_parser("prune", help="remove checkpoints of runs, and ask first")
    pruned.add_argument("folder", metavar="DIR", help="of runs, or of one run")
    pruned.add_argument(
        "--keep",
        required=True,
        metavar="best|last|N",
        help="what a run ended with and no checkpoint, its newest one too, or its newest N",
    )
    pruned.add_argument("--yes", action="store_true", help="do not ask")
    pruned.set_defaults(command=_prune)

    predict = commands.add_parser("predict", help="what a run says of images, arrays or a table")
    predict.add_argument("run", metavar="RUN", help="the folder of a run, or of a sweep")
    predict.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="images, folders of them, .npz, .npy, .csv, .tsv, .parquet, .jsonl; - for stdin",
    )
    predict.add_argument("--output", metavar="FILE", help="where to write; default: stdout")
    predict.add_argument("--force", action="store_true", help="replace the output if it is there")
    predict.add_argument(
        "--format", choices=("csv", "jsonl"), help="default: as --output is called, else csv"
    )
    predict.add_argument(
        "--top", type=int, default=5, metavar="K", help="classes a row; default: %(default)s"
    )
    _add_network_options(predict)
    predict.set_defaults(command=_predict)

    export = commands.add_parser("export", help="a run's weights, or its network as a program")
    export.add_argument("run", metavar="RUN", help="the folder of a run, or of a sweep")
    export.add_argument(
        "--to",
        required=True,
        metavar="FORMAT",
        help="safetensors, npz or orbax for weights, stablehlo for a program that needs jax alone",
    )
    export.add_argument("--output", metavar="PATH", help="default: in RUN/export")
    export.add_argument("--force", action="store_true", help="replace the output if it is there")
    _add_network_options(export)
    export.set_defaults(command=_export)

    judge = commands.add_parser("diagnose", help="is a run overfitting, and why does it not train")
    judge.add_argument("run", metavar="RUN", help="the folder of a run, or of a sweep")
    _add_subject_options(judge)
    judge.set_defaults(command=_diagnose)

    curvature = commands.add_parser("spectrum", help="the eigenvalues of the Hessian of a run")
    curvature.add_argument("run", metavar="RUN", help="the folder of a run, or of a sweep")
    curvature.add_argument(
        "--samples", type=int, default=512, metavar="N", help="of training; default: %(default)s"
    )
    curvature.add_argument(
        "--top", type=int, default=5, metavar="K", help="eigenvalues; default: %(default)s"
    )
    _add_subject_options(curvature)
    curvature.set_defaults(command=_spectrum)

    surface = commands.add_parser("landscape", help="the loss around a run, or between several")
    surface.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    surface.add_argument(
        "--samples", type=int, default=1000, metavar="N", help="of training; default: %(default)s"
    )
    surface.add_argument(
        "--points", type=int, default=25, metavar="N", help="a direction; default: %(default)s"
    )
    surface.add_argument(
        "--extent",
        type=float,
        default=1.0,
        metavar="E",
        help="how far, in lengths of the filters; default: %(default)s",
    )
    surface.add_argument("--output", metavar="PNG", help="default: landscape.png, here")
    surface.add_argument("--json", action="store_true", help="print JSON in place of words")
    _add_data_option(surface)
    surface.set_defaults(command=_landscape)

    show = commands.add_parser("show-augment", help="draw training images before and after")
    show.add_argument("config", metavar="CONFIG", help=_CONFIG)
    show.add_argument("--output", metavar="PNG", help="default: CONFIG-augment.png, here")
    _add_config_options(show)
    show.set_defaults(command=_show_augment)

    shown = commands.add_parser(
        "show-data", help="splits, classes, columns, and some samples drawn"
    )
    shown.add_argument("config", metavar="CONFIG", help="a TOML file with [data]")
    shown.add_argument("--output", metavar="PNG", help="default: CONFIG-data.png, here")
    _add_config_options(shown)
    shown.set_defaults(command=_show_data)

    looked = commands.add_parser("doctor", help="devices, versions, memory, disks, data sets")
    looked.add_argument("--json", action="store_true", help="print JSON in place of words")
    _add_data_option(looked)
    looked.set_defaults(command=_doctor)

    verified = commands.add_parser(
        "verify", help="whether a folder is what was written, and where two runs part"
    )
    verified.add_argument("run", metavar="RUN", help="the folder of a run or of a sweep")
    verified.add_argument("other", nargs="?", metavar="RUN", help="of a run to compare it with")
    verified.add_argument("--json", action="store_true", help="print JSON in place of words")
    verified.set_defaults(command=_verify)

    ours = commands.add_parser("configs", help="the configurations that ship, by name")
    ours.add_argument("--copy", metavar="NAME", help="write one here, as NAME.toml, to change it")
    ours.set_defaults(command=_configs)

    names = commands.add_parser("list", help="the names that a configuration may use")
    names.add_argument("family", nargs="?", metavar="FAMILY", help="one table, such as optimizer")
    names.set_defaults(command=_list)

    shell = commands.add_parser("completion", help="what makes a shell complete these commands")
    shell.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    shell.set_defaults(command=_completion)
    for command in commands.choices.values():
        command.add_argument(
            "--module",
            metavar="FILE",
            help="a Python file whose EXTEND, such as {'model': [my_net]}, gives further names",
        )
        command.set_defaults(refuse=command.error)
    return parser


def _add_network_options(command: argparse.ArgumentParser) -> None:
    """Of what takes a trained network from a folder."""
    command.add_argument(
        "--step", type=int, metavar="N", help="the checkpoint of step N; default: what a run kept"
    )
    _add_member_option(command, "; default: the best")
    command.add_argument(
        "--ensemble", action="store_true", help="a run's snapshots, or a sweep's runs, together"
    )
    command.add_argument(
        "--best", type=int, metavar="N", help="with --ensemble, of a sweep its N best runs"
    )


def _add_member_option(command: argparse.ArgumentParser, default: str = "") -> None:
    command.add_argument(
        "--member",
        type=int,
        metavar="N",
        help=f"of a sweep, its run N, from 0 as in sweep.csv{default}",
    )


def _add_subject_options(command: argparse.ArgumentParser) -> None:
    """Of what looks at one trained run."""
    _add_member_option(command)
    command.add_argument(
        "--step", type=int, metavar="N", help="the checkpoint of step N; default: what a run kept"
    )
    command.add_argument("--json", action="store_true", help="print JSON in place of words")
    _add_data_option(command)


def _add_config_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a value, optimizer.learning_rate=3e-4 for one; may be repeated",
    )
    command.add_argument(
        "--unset",
        action="append",
        default=[],
        metavar="KEY",
        help="leave out a value or a table, model.hidden or augment.0; may be repeated",
    )
    _add_data_option(command)


def _add_devices_option(command: argparse.ArgumentParser, text: str) -> None:
    command.add_argument("--devices", type=int, metavar="N", help=text)


def _add_backup_option(command: argparse.ArgumentParser, kind: str) -> None:
    text = f"keep an archive of the {kind} in DIR too; with --resume, take it from there if need be"
    command.add_argument("--backup", metavar="DIR", help=text)


def _add_data_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data-dir", metavar="DIR", help="where data sets lie; default: $JAXOPT_LAB_DATA"
    )


def _train(options: argparse.Namespace) -> int:
    from jaxopt_lab.config.load import load_config
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.process.cores import use_compilation_cache, use_cpu_cores

    place = (options.coordinator, options.process_id, options.process_count)
    if not options.distributed and any(value is not None for value in place):
        raise InputError(
            "train: --coordinator, --process-id and --process-count go with --distributed: add it, "
            "or leave them out"
        )
    longer = _is_longer(options)
    more = options.config is not None or options.set or options.from_step is not None
    if longer and (options.resume is None or more):
        raise InputError(
            "train: --epochs and --steps go with --resume RUN, and nothing else that changes the "
            "run; a new run has its length from its file, --set train.epochs=60"
        )
    if longer and (options.dry_run or options.print_config):
        raise InputError(
            "train: --dry-run and --print-config show a run that is there, and none that --epochs "
            "or --steps would begin"
        )
    _check_resume("train", "run", options)
    if options.from_step is not None and options.resume is None:
        raise InputError(
            f"train: --from-step {options.from_step} goes with --resume RUN: name the run, or "
            "leave it out"
        )
    use_compilation_cache()
    config = None if options.config is None else load_config(options.config, **_changes(options))
    if config is None and options.set:
        from jaxopt_lab.run.records.run_folder import RunFolder

        _bring_back(options)
        config = RunFolder(options.resume).moved(options.set)
    mesh = None if options.mesh is None else _mesh_of(options.mesh)
    if not options.dry_run:
        asked = _devices_of(options, config, mesh)
        if asked != 1:
            use_cpu_cores(asked)
    if options.print_config or options.dry_run:
        return _look(options, config, mesh)

    from jaxopt_lab.run.commands.train import train
    from jaxopt_lab.run.process import distributed
    from jaxopt_lab.run.process.together import stuck_seconds, together

    devices, stuck = options.devices, stuck_seconds()
    if options.distributed:
        distributed.join(*place)
        devices = None  # each process has as many as --devices says, and all of them are used
    resume = options.resume is not None
    with contextlib.ExitStack() as stack:
        run_dir = distributed.from_first(lambda: stack.enter_context(_run_dir(options, longer)))
        stack.enter_context(together(run_dir, stuck))
        if distributed.is_first():
            stack.enter_context(_backup(options, run_dir))
            if longer:
                from jaxopt_lab.run.commands.prolong import prolong

                said = prolong(options.resume, run_dir, epochs=options.epochs, steps=options.steps)
                for line in said:
                    _say(line)
        result = train(
            config,
            run_dir,
            resume=resume,
            from_step=options.from_step,
            devices=devices,
            mesh=mesh,
            data_dir=options.data_dir,
            profile=options.profile,
        )
    codes = {"finished": DONE, "early_stopping": DONE, "interrupted": INTERRUPTED}
    return codes.get(result.stopped_by, FAILED)


def _mesh_of(text: str) -> Any:
    """`data=4,shard=full` as the `MeshConfig` of a file's `[mesh]`."""
    from jaxopt_lab.config.checks import parse_mesh
    from jaxopt_lab.core.errors import InputError

    pairs = [item.partition("=") for item in text.split(",")]
    if any(not value for _, _, value in pairs):
        raise InputError(f"--mesh must be NAME=VALUE,..., data=4,model=2 for one, got {text!r}")
    table = {
        key.strip(): int(value) if value.strip().isdecimal() else value.strip()
        for key, _, value in pairs
    }
    return parse_mesh(table, source="--mesh")


def _devices_of(options: argparse.Namespace, config: Any, mesh: Any) -> int | None:
    """How many devices a run is to have; None for all that there are."""
    from jaxopt_lab.run.records.run_folder import RunFolder

    if options.devices is not None:
        return options.devices
    if mesh is not None:
        return mesh.devices
    if config is None and options.distributed:
        return 1  # of each process, unless --devices says so
    if config is None:
        _bring_back(options)
        config = RunFolder(options.resume).own_config()
    return config.mesh.devices


def _sweep(options: argparse.Namespace) -> int:
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.process.cores import use_compilation_cache, use_cpu_cores

    _check_resume("sweep", "sweep", options)
    use_cpu_cores(options.devices)
    use_compilation_cache()

    from jaxopt_lab.config.sweep import load_sweep
    from jaxopt_lab.run.commands.batch_size_scan import load_scan, measure_noise
    from jaxopt_lab.run.commands.sweep import sweep
    from jaxopt_lab.run.terminal.progress import Progress

    config = None
    if options.batch_size_scan:
        if options.config is None or options.grid:
            raise InputError("sweep: --batch-size-scan needs a CONFIG, and no --grid beside it")
        config = load_scan(options.config, data_dir=options.data_dir, **_changes(options))
    elif options.config is not None:
        config = load_sweep(options.config, grid=options.grid, **_changes(options))
    elif options.set:
        from jaxopt_lab.run.records.sweep_folder import SweepFolder

        _bring_back(options)
        config = SweepFolder(options.resume).moved(options.set)
    with _run_dir(options) as run_dir, _backup(options, run_dir):
        result = sweep(
            config,
            run_dir,
            resume=options.resume is not None,
            devices=options.devices,
            data_dir=options.data_dir,
        )
        if options.batch_size_scan and result.stopped_by == "finished":
            assert config is not None
            measure_noise(config, result, Progress(), options.data_dir)
    return DONE if result.stopped_by == "finished" else INTERRUPTED


def _check_resume(command: str, kind: str, options: argparse.Namespace) -> None:
    """Refuse options that name two runs, or none."""
    from jaxopt_lab.core.errors import InputError

    if options.config is None and options.resume is None:
        raise InputError(f"{command}: give a CONFIG, or the folder of a {kind} with --resume")
    if options.resume and options.run_dir and not _is_longer(options):
        raise InputError(f"{command}: --resume names the folder; leave out --run-dir")
    # Data may lie elsewhere by now: which keys say where is looked at with the configuration.
    given = [name for name in ("unset", "grid") if getattr(options, name, None)]
    if options.config is None and given:
        raise InputError(f"{command}: --{given[0]} needs a CONFIG; a resumed {kind} keeps its own")


def _is_longer(options: argparse.Namespace) -> bool:
    """Whether a new run is to begin from the last state of another."""
    return any(getattr(options, name, None) is not None for name in ("epochs", "steps"))


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line changes in the file."""
    return {"overrides": options.set, "unset": options.unset, "say": _say_aside}


@contextlib.contextmanager
def _run_dir(options: argparse.Namespace, longer: bool = False) -> Iterator[str | pathlib.Path]:
    """The folder that was asked for, or the next free one, which is this command's from then on."""
    from jaxopt_lab.run.records.folder import new_folder, require_name

    resumed = getattr(options, "resume", None)
    if longer and resumed and options.run_dir is None:
        path = pathlib.Path(resumed)
        folder = new_folder(re.sub(r"-\d+$", "", path.name) or path.name, path.parent)
    elif (asked := options.run_dir if longer or resumed is None else resumed) is not None:
        folder = contextlib.nullcontext(asked)
    else:
        folder = new_folder(pathlib.Path(options.config).stem)
    with folder as taken:
        require_name(taken)
        options.taken = taken
        yield taken


def _backup(
    options: argparse.Namespace, run_dir: str | pathlib.Path
) -> contextlib.AbstractContextManager[None]:
    """Keep the archive that `--backup` asks for; what is gone here comes back from there first."""
    from jaxopt_lab.run.commands.backup import backup

    _bring_back(options)
    return contextlib.nullcontext() if options.backup is None else backup(run_dir, options.backup)


def _bring_back(options: argparse.Namespace) -> None:
    """Take what is to be resumed and is gone here from its archive, where there is one."""
    from jaxopt_lab.run.commands.backup import restore

    if options.backup and options.resume and not pathlib.Path(options.resume).exists():
        restore(options.resume, options.backup)


def _look(options: argparse.Namespace, config: Any, mesh: Any) -> int:
    """`--print-config` and `--dry-run`."""
    from jaxopt_lab.config.build import build
    from jaxopt_lab.config.dump import to_toml
    from jaxopt_lab.run.commands.dry_run import dry_run
    from jaxopt_lab.run.records.run_folder import RunFolder
    from jaxopt_lab.run.terminal.progress import Progress

    if config is None:
        config = RunFolder(options.resume).own_config()
    if options.print_config:
        print(to_toml(config), end="")
    if options.dry_run:
        if options.resume:  # what it was started from is in its state
            config = dataclasses.replace(config, start=None)
        own = None if config.mesh.devices in (1, None) else config.mesh
        dry_run(config, build(config, data_dir=options.data_dir), Progress(), mesh or own)
    return DONE


def _linear(options: argparse.Namespace) -> int:
    from jaxopt_lab.config.load import load_linear_config
    from jaxopt_lab.run.commands.linear import solve

    config = load_linear_config(options.config, **_changes(options))
    with _run_dir(options) as run_dir:
        solve(config, run_dir, data_dir=options.data_dir)
    return DONE


def _plot_schedule(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.plot_schedule import plot_schedule

    return _draw(options, "schedule", plot_schedule)


def _show_augment(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.show_augment import show_augment

    return _draw(options, "augment", show_augment)


def _show_data(options: argparse.Namespace) -> int:
    from jaxopt_lab.config.load import load_data_config
    from jaxopt_lab.run.commands.show_data import show_data
    from jaxopt_lab.run.terminal.progress import Progress

    config = load_data_config(options.config, **_changes(options))
    path = pathlib.Path(options.output or f"{pathlib.Path(options.config).stem}-data.png")
    if show_data(config, path, Progress(), data_dir=options.data_dir):
        _say(f"wrote {path}")
    return DONE


def _draw(options: argparse.Namespace, what: str, draw: Callable[..., None]) -> int:
    """Build what the configuration says, and draw a part of it to a PNG file."""
    from jaxopt_lab.config.build import build
    from jaxopt_lab.config.load import load_config
    from jaxopt_lab.run.records.pictures import require_png_path

    path = pathlib.Path(options.output or f"{pathlib.Path(options.config).stem}-{what}.png")
    require_png_path(options.called, path)
    config = load_config(options.config, **_changes(options))
    experiment = build(config, data_dir=options.data_dir)
    draw(config, experiment, path)
    _say(f"wrote {path}")
    return DONE


def _find_lr(options: argparse.Namespace) -> int:
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.process.cores import use_compilation_cache, use_cpu_cores

    use_cpu_cores(None)
    use_compilation_cache()

    from jaxopt_lab.config.load import load_config
    from jaxopt_lab.run.commands.find_lr import apply, draw, find_lr
    from jaxopt_lab.run.records.pictures import require_png_path

    config, stem = pathlib.Path(options.config), pathlib.Path(options.config).stem
    path = pathlib.Path(options.output or f"{stem}-find-lr.png")
    require_png_path("find-lr", path)
    found = find_lr(
        load_config(config, **_changes(options)),
        low=options.low,
        high=options.high,
        steps=options.steps,
        seeds=options.seeds,
        data_dir=options.data_dir,
    )
    draw(found, path)
    _say(f"wrote {path}")
    if options.apply is not None:
        if found.why_none:
            raise InputError(f"find-lr --apply: {found.why_none}")
        target = pathlib.Path(options.apply or f"{stem}-lr.toml")
        apply(config, found.valley, target)
        _say(f"wrote {target}")
    return DONE


def _evaluate(options: argparse.Namespace) -> int:
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.commands.evaluate import evaluate_runs
    from jaxopt_lab.run.process.cores import use_compilation_cache
    from jaxopt_lab.run.terminal.progress import Progress

    if options.samples is not None and options.samples < 1:
        raise InputError(f"evaluate: --samples must be >= 1, got {options.samples}")
    use_compilation_cache()
    evaluate_runs(
        options.runs,
        corruptions=options.corruptions,
        samples=options.samples,
        member=options.member,
        step=options.step,
        data_dir=options.data_dir,
        terminal=Progress(),
    )
    return DONE


def _compare(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.compare import compare, show, write_comparison
    from jaxopt_lab.run.records.page import require_page_path

    path = pathlib.Path(options.output or "comparison.html")
    if not options.json:
        require_page_path("compare", path, force=options.force)
    return _tell(options, compare(options.runs), show, lambda found: write_comparison(found, path))


def _runs(options: argparse.Namespace) -> int:
    import json

    from jaxopt_lab.run.commands.runs import as_json, list_runs, show_runs
    from jaxopt_lab.run.terminal.progress import Progress

    found = list_runs(pathlib.Path(options.folder), sort=options.sort, where=options.where)
    if options.json:
        print(json.dumps(as_json(found), indent=1, allow_nan=False))
    else:
        show_runs(found, Progress())
    return DONE


def _prune(options: argparse.Namespace) -> int:
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.commands.prune import find_prunable, prune, show_prunable
    from jaxopt_lab.run.terminal.progress import Progress

    keep = int(options.keep) if options.keep.isdecimal() else options.keep
    found = find_prunable(pathlib.Path(options.folder), keep)
    if not show_prunable(found, Progress()):
        return DONE
    if not options.yes:
        if not sys.stdin.isatty():
            raise InputError("prune: nobody is there to ask: give --yes; nothing was removed")
        if input("remove these? [y/N] ").strip().lower() not in ("y", "yes"):
            print("nothing was removed")
            return DONE
    prune(found)
    print("removed")
    return DONE


def _predict(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.process.cores import use_compilation_cache

    use_compilation_cache()

    from jaxopt_lab.run.commands.predict import kind_of, output_to, predict_files, show
    from jaxopt_lab.run.terminal.counting import on_stderr

    terminal, found = on_stderr(), None
    network = _network(options)
    with output_to(options.output, force=options.force) as write:
        terminal.say(f"{options.run}: {network.why}")
        found = predict_files(
            network,
            options.files,
            write,
            kind=kind_of(options.format, options.output),
            top=options.top,
            stdin=getattr(sys.stdin, "buffer", None),
            terminal=terminal,
        )
    if found is None:  # whoever reads has seen enough
        return DONE
    show(found, terminal)
    return FAILED if found.unread else DONE


def _export(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.export import export
    from jaxopt_lab.run.process.cores import use_compilation_cache

    use_compilation_cache()
    network = _network(options)
    written = export(network, options.to, options.output, force=options.force)
    _say(f"{options.run}: {network.why}")
    _say(f"wrote {written}")
    return DONE


def _network(options: argparse.Namespace) -> Any:
    """The run that options name, or the ensemble."""
    from jaxopt_lab.core.errors import InputError
    from jaxopt_lab.run.records.loading import load_run

    if options.ensemble and options.member is not None:
        raise InputError("--ensemble is of several runs, --member names one: leave one out")
    if options.best is not None and not options.ensemble:
        raise InputError(f"--best {options.best} goes with --ensemble: add it, or leave it out")
    run = load_run(options.run, step=options.step, member=options.member)
    return run.ensemble(options.best) if options.ensemble else run


def _diagnose(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.process.cores import use_compilation_cache

    use_compilation_cache()

    from jaxopt_lab.run.commands.diagnose import diagnose, show
    from jaxopt_lab.run.records.diagnosis import write_diagnosis
    from jaxopt_lab.run.records.page import require_pages

    if not options.json:
        require_pages()
    return _tell(options, diagnose(options.run, **_subject(options)), show, write_diagnosis)


def _spectrum(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.process.cores import use_compilation_cache

    use_compilation_cache()

    from jaxopt_lab.run.commands.spectrum import measure_curvature, show, write_spectrum
    from jaxopt_lab.run.records.pictures import require_plots

    if not options.json:
        require_plots()
    found = measure_curvature(
        options.run, samples=options.samples, top=options.top, **_subject(options)
    )
    return _tell(options, found, show, write_spectrum)


def _landscape(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.process.cores import use_compilation_cache

    use_compilation_cache()

    from jaxopt_lab.run.commands.landscape import draw, measure_landscape, show
    from jaxopt_lab.run.records.pictures import require_png_path

    path = pathlib.Path(options.output or "landscape.png")
    require_png_path("landscape", path, drawn=not options.json)
    found = measure_landscape(
        options.runs,
        samples=options.samples,
        points=options.points,
        extent=options.extent,
        data_dir=options.data_dir,
    )
    return _tell(options, found, show, lambda found: draw(found, path))


def _say(text: str) -> None:
    """Print a line that holds names, which may hold anything."""
    print(in_a_line(text))


def _subject(options: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("member", "step", "data_dir")}


def _tell(
    options: argparse.Namespace,
    found: Any,
    show: Callable[[Any, Any], None],
    write: Callable[[Any], pathlib.Path],
) -> int:
    """Print what was found as JSON, or in words, and then write it to a file."""
    import json

    from jaxopt_lab.run.terminal.progress import Progress

    if options.json:
        print(json.dumps(found.as_json(), indent=1, allow_nan=False))
    else:
        show(found, Progress())
        _say(f"wrote {write(found)}")
    return DONE


def _doctor(options: argparse.Namespace) -> int:
    import json

    from jaxopt_lab.run.commands.doctor import PROBLEM, doctor, show_findings
    from jaxopt_lab.run.terminal.progress import Progress

    found = doctor(options.data_dir)
    if options.json:
        print(json.dumps([each._asdict() for each in found], indent=1))
    else:
        show_findings(found, Progress())
    return FAILED if any(each.state == PROBLEM for each in found) else DONE


def _verify(options: argparse.Namespace) -> int:
    import json

    from jaxopt_lab.run.commands.verify import show_verified, verify
    from jaxopt_lab.run.terminal.progress import Progress

    found = verify(options.run, options.other)
    if options.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        show_verified(found, Progress())
    return DONE if found.good else FAILED


def _configs(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.configs import copy_config, list_configs
    from jaxopt_lab.run.terminal.progress import Progress

    if options.copy is None:
        list_configs(Progress())
    else:
        _say(f"wrote {copy_config(options.copy)}")
    return DONE


def _list(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.listing import list_names
    from jaxopt_lab.run.terminal.progress import Progress

    list_names(options.family, Progress())
    return DONE


def _completion(options: argparse.Namespace) -> int:
    from jaxopt_lab.run.commands.completion import completion

    print(completion(_parser(), options.shell))
    return DONE


if __name__ == "__main__":
    sys.exit(main())
