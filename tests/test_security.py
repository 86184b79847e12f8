"""Nothing that is read from a file is run, and nothing that a file names stands raw on a page."""

import ast
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import jaxopt_lab

PACKAGE = pathlib.Path(jaxopt_lab.__file__).parent
ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted(
    path for folder in ("jaxopt_lab", "scripts") for path in (ROOT / folder).rglob("*.py")
)

# Modules that run what they read, or that start a shell.
MODULES = {
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"),
    *("yaml", "ruamel", "runpy", "code", "codeop", "imp", "pty", "commands", "jsonpickle"),
}
# Calls of the same kind, by their last name where they are methods or functions of a module.
BARE = {"eval", "exec", "compile", "__import__", "execfile"}
DOTTED = {
    *("os.system", "os.popen", "os.execv", "os.execvp", "os.spawnl", "os.startfile"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "torch.load", "pandas.read_pickle"),
    *("ctypes.CDLL", "tempfile.mktemp", "pkgutil.resolve_name"),
}
METHODS = {"extractall", "unpack_archive", "exec_module", "load_module", "spec_from_file_location"}
TRUE = {"allow_pickle", "shell"}

# (file, what it calls) -> why it may.
ALLOWED = {
    ("jaxopt_lab/run/process/own_module.py", "exec_module"): "--module, the user's own word",
    ("jaxopt_lab/run/process/own_module.py", "spec_from_file_location"): "the same",
    ("jaxopt_lab/__init__.py", "import_module"): "names of this package, from a table of its own",
    ("jaxopt_lab/core/memory.py", "ctypes.CDLL"): "of None: the C library that the process has",
    ("scripts/benchmarks/augmentation.py", "import_module"): "peers, which the script itself names",
}


def dangers(tree):
    """What of a file could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (w for w in whole if w in DOTTED or w.rpartition(".")[2] in METHODS)
            if node.module.partition(".")[0] in MODULES:
                yield node.module
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_call(node):
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    if name in BARE or name in DOTTED or name.removeprefix("builtins.") in BARE:
        yield name
    if isinstance(node.func, ast.Attribute) and last in METHODS:
        yield last
    if last == "import_module" and not isinstance(node.args[0], ast.Constant):
        yield last
    given = {k.arg: k.value for k in node.keywords}
    for key in TRUE & set(given):
        if not (isinstance(given[key], ast.Constant) and given[key].value is False):
            yield f"{key}={ast.unparse(given[key])}"
    if name in ("np.load", "numpy.load") and "allow_pickle" not in given:
        yield f"{name} without allow_pickle=False"
    if name in ("np.save", "numpy.save") and "allow_pickle" not in given:
        yield f"{name} without allow_pickle=False"
    if last == "extract" and "filter" not in given and "tar" in name:
        yield f"{name} without filter="


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_that_is_read_is_run(path):
    place = path.relative_to(ROOT).as_posix()
    found = set(dangers(ast.parse(path.read_text())))
    assert not [what for what in found if (place, what) not in ALLOWED]


def test_what_may_is_there():
    there = {
        (place, what)
        for place in {place for place, _ in ALLOWED}
        for what in dangers(ast.parse((ROOT / place).read_text()))
    }
    assert there == set(ALLOWED)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import yaml.loader",
        "from pickle import loads",
        "from os import system",
        "eval('1')",
        "builtins.exec('1')",
        "compile('1', '', 'eval')",
        "__import__(name)",
        "importlib.import_module(name)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=asked)",
        "np.save(path, x)",
        "tar.extractall(place)",
        "tar.extract(member, place)",
        "shutil.unpack_archive(path)",
        "subprocess.run(text, shell=True)",
        "os.system(text)",
        "torch.load(path)",
    ],
)
def test_the_rule_sees(code):
    assert list(dangers(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "re.compile(pattern)",
        "jax.jit(f).lower(x).compile()",
        "module.eval()",
        "importlib.import_module('json')",
        "np.load(path, allow_pickle=False)",
        "tar.extract(member, place, filter='data')",
        "subprocess.run([program, word])",
    ],
)
def test_the_rule_lets_pass(code):
    assert not list(dangers(ast.parse(code)))


def test_csv_is_written_in_one_place():
    writers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("csv.writer", "csv.DictWriter")
    }
    assert writers == {"run/records/csv_text.py"}


CONFIG = """
[data]
name = "digits"
train_size = 100
[model]
name = "mlp"
hidden = [4]
[[augment]]
name = "random_crop"
padding = 1
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
epochs = 1
[log]
tensorboard = {}
"""
# What is run where there is nothing, and what it writes there; the run's folder is `here`.
COMMANDS = {
    "list": set(),
    "doctor": set(),
    "train ../given/c.toml --dry-run": set(),
    "train ../given/c.toml --print-config": set(),
    "train ../given/c.toml --run-dir here --backup back": {"here", "back"},
    "train ../given/c.toml": {"runs"},
    "verify here": set(),
    "runs": set(),
    "evaluate here": set(),
    "diagnose here": set(),
    "compare here runs/c-001": {"comparison.html"},
    "spectrum here --samples 32 --top 1": set(),
    "landscape here --samples 32 --points 3 --output l.png": {"l.png"},
    "predict here ../given/x.npy": set(),
    "predict here ../given/x.npy --output p.csv": {"p.csv"},
    "export here --to npz": set(),
    "export here --to npz --output e.npz": {"e.npz"},
    "plot-schedule ../given/c.toml": {"c-schedule.png"},
    "show-data ../given/c.toml --output d.png": {"d.png"},
    "show-augment ../given/c.toml": {"c-augment.png"},
    "find-lr ../given/c.toml --steps 10 --seeds 1": {"c-find-lr.png"},
    "linear ../given/l.toml": set(),
    "sweep ../given/c.toml --grid optimizer.learning_rate=[0.1,0.01]": set(),
    "prune here --keep last --yes": set(),
}


OWN_CACHES = {(".cache", "jaxopt_lab"), (".cache", "matplotlib")}
# Trackers, where they are installed: their settings, what they make where they are told, and what
# they keep at home.
TRACKERS = {
    "tensorboardX": ("", set(), set()),  # as CONFIG has it
    "wandb": ('wandb = { project = "digits", mode = "offline" }', set(), {(".cache", "wandb")}),
    "mlflow": ('mlflow = { uri = "sqlite:///PLACE/mlflow.db" }', {"mlflow.db"}, set()),
}


@pytest.mark.slow
@pytest.mark.parametrize("tracker", TRACKERS)
def test_a_tracker_writes_where_it_is_told(tmp_path, tracker):
    """TensorBoard and W&B into the run's folder, MLflow to its store."""
    pytest.importorskip(tracker)
    log, made, kept = TRACKERS[tracker]
    written_by(tmp_path, {"train ../given/t.toml --run-dir here": {"here"}}, log=log)
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == made
    assert places_at_home(tmp_path) <= OWN_CACHES | kept


@pytest.mark.slow
def test_a_command_writes_where_it_is_told(tmp_path):
    """In its folder, in `--output` and in the two caches, and nowhere else."""
    written_by(tmp_path, COMMANDS)
    assert places_at_home(tmp_path) <= OWN_CACHES
    assert not list((tmp_path / "temporary").iterdir())


def written_by(tmp_path, commands, log=""):
    """Runs commands in an empty folder, and looks at what is new there and beside it."""
    there = {"given", "empty", "home", "temporary", "elsewhere"}
    for name in there:
        (tmp_path / name).mkdir()
    given = tmp_path / "given"
    (given / "c.toml").write_text(CONFIG)
    log = log.replace("PLACE", str(tmp_path / "elsewhere"))
    (given / "t.toml").write_text(f"{CONFIG}{log}\n")
    linear = (
        '[data]\nname = "digits"\ntrain_size = 100\n[linear]\nname = "ridge"\nlam = [0.1, 1.0]\n'
    )
    (given / "l.toml").write_text(linear)
    np.save(given / "x.npy", np.zeros((2, 8, 8, 1), np.uint8), allow_pickle=False)
    code = f"""
import pathlib, shlex
from jaxopt_lab.cli import main
for line, made in {commands!r}.items():
    before = set(pathlib.Path().iterdir())
    assert main(shlex.split(line)) == 0, line
    new = {{path.name for path in set(pathlib.Path().iterdir()) - before}}
    assert new == made, (line, new)
"""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JAX", "XDG", "MPL"))}
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "empty",
        env=kept | places | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.name for path in given.iterdir()} == {"c.toml", "t.toml", "l.toml", "x.npy"}
    assert {path.name for path in tmp_path.iterdir()} == there


def places_at_home(tmp_path):
    home = tmp_path / "home"
    return {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()}
