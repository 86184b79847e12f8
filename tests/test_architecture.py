"""The house holds itself: imports go down, every entry has its case, its docstring and its file."""

import ast
import graphlib
import importlib
import inspect
import pathlib
import subprocess
import sys

import cases
import pytest

import jaxopt_lab
from jaxopt_lab import losses
from jaxopt_lab.config.tables import FAMILIES
from jaxopt_lab.core.errors import InputError, require

PACKAGE = pathlib.Path(jaxopt_lab.__file__).parent

# A family may import those in the set beside it, and itself; nothing else of the package.
GROUND = {"core"}
FIRST = GROUND | {"linalg", "problems", "losses"}
ALLOWED = {
    "core": set(),
    **dict.fromkeys(("linalg", "problems", "losses"), GROUND),
    **dict.fromkeys(("schedules", "optimizers", "second_order", "control"), FIRST),
    **dict.fromkeys(("augment", "nn", "data", "linear", "diagnostics"), FIRST),
    "compat": FIRST | {"optimizers", "schedules", "control"},
    "engine": GROUND,
    "sweeps": GROUND | {"engine"},
    "plots": set(),
}
BELOW_CONFIG = set(ALLOWED)
ALLOWED["testing"] = {"core", "problems"}
ALLOWED["config"] = BELOW_CONFIG
ALLOWED["run"] = BELOW_CONFIG | {"config"}
ALLOWED["cli"] = {"core", "run", "config"}  # core for the error that it prints
ALLOWED["__main__"] = {"cli"}
ALLOWED["__init__"] = {"run", "config", "engine", "core", "cli"}
PLOTS_ONLY = {"numpy", "matplotlib", "jaxopt_lab"} | sys.stdlib_module_names

FILES = sorted(PACKAGE.rglob("*.py"))
TABLES = {
    "augment": ("AUGMENTATIONS", "MIXERS", "ATTACKS"),
    "augment.corruptions": ("CORRUPTIONS",),
    "control": ("CONTROLS",),
    "data": ("DATASETS",),
    "linear": ("FEATURES", "SOLVERS"),
    "losses": ("LOSSES", "METRICS", "PENALTIES"),
    "nn": ("MODELS", "INITIALIZERS"),
    "optimizers": ("OPTIMIZERS",),
    "plots": ("PLOTS",),
    "problems": ("PROBLEMS",),
    "schedules": ("SCHEDULES",),
    "second_order": ("SECOND_ORDER",),
}
ENTRIES = [
    pytest.param(family, table, name, function, id=f"{family}.{name}")
    for family, tables in TABLES.items()
    for table in tables
    for name, function in getattr(importlib.import_module(f"jaxopt_lab.{family}"), table).items()
]


def imported(path):
    """Dotted names that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "jaxopt_lab":
                yield from (f"jaxopt_lab.{alias.name}" for alias in node.names)
            else:
                yield node.module


def dotted(path):
    """The name of the module in a file."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(path):
    """The package's modules that a file imports when it runs, at its top or inside a function."""
    tree = ast.parse(path.read_text())
    typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n)]
    left_out = {id(inner) for branch in typing for inner in ast.walk(branch)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in whole]
        else:
            continue
        yield from (name for name in names if name in MODULES and id(node) not in left_out)


MODULES = {dotted(path): path for path in FILES}
UNDERSCORED = [p for p in FILES if p.name.startswith("_") and not p.name.startswith("__")]


def family_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    family = family_of(path)
    names = [name.split(".") for name in imported(path)]
    used = {parts[1] for parts in names if parts[0] == "jaxopt_lab" and len(parts) > 1}
    assert used - {family} <= ALLOWED[family]
    if family == "plots":
        assert {parts[0] for parts in names} <= PLOTS_ONLY


# The wiring reads what functions declare. Two defaults are told by name: the loss that a file may
# leave out, and `sam`, which is no control but stands among them. "linear" is a table's name too.
NAMED = {("schema.py", "softmax_cross_entropy"), ("tables.py", "sam")}


@pytest.mark.parametrize("room", ["engine", "sweeps", "config"])
def test_the_wiring_knows_no_function_by_its_name(room):
    names = {*losses.METRICS, *(n for family in FAMILIES.values() for n in family.functions)}
    told = {
        (path.name, node.value)
        for path in PACKAGE.joinpath(room).rglob("*.py")
        if path.name != "__init__.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names - {"linear"}
    }
    assert told <= NAMED


def test_a_model_is_applied_in_one_file():
    calls = {
        path.relative_to(PACKAGE).as_posix()
        for room in ("engine", "sweeps", "config", "run")
        for path in PACKAGE.joinpath(room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith("model.apply")
    }
    # An ensemble is a model itself, made of others.
    assert calls == {"engine/forward.py", "engine/ensemble.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_an_underscored_file_is_imported_by_its_neighbors_only(path):
    """What files share has a plain name. A subpackage's files are neighbors of each other only."""
    reached = [name for name in modules(path) if name.rpartition(".")[2].startswith("_")]
    assert not [name for name in reached if MODULES[name].parent != path.parent]


@pytest.mark.parametrize("path", UNDERSCORED, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_an_underscored_file_is_one_public_name(path):
    package = importlib.import_module(dotted(path).rpartition(".")[0])
    plain = {name.replace("_", "").lower(): name for name in package.__all__}
    name = plain.get(path.stem.replace("_", "").lower())
    assert name, f"{package.__name__} exports nothing of the name of {path.name}"
    assert getattr(package, name).__module__ == dotted(path)


def test_no_module_imports_itself_by_way_of_others():
    graph = {dotted(path): set(modules(path)) - {dotted(path)} for path in FILES}
    graphlib.TopologicalSorter(graph).prepare()


def test_no_room_without_a_name():
    rooms = {"utils", "util", "misc", "helpers", "common"}
    assert not [p for p in FILES if rooms & set(p.relative_to(PACKAGE).with_suffix("").parts)]


def test_every_table_is_in_this_test():
    found = {
        (".".join(path.parent.relative_to(PACKAGE).parts), target.id)
        for path in (*PACKAGE.glob("*/__init__.py"), *PACKAGE.glob("augment/*/__init__.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if target.id.isupper()
    }
    assert found == {(family, table) for family, tables in TABLES.items() for table in tables}


@pytest.mark.parametrize(("family", "table", "name", "function"), ENTRIES)
def test_every_entry_has_its_case_docstring_and_file(family, table, name, function):
    assert function.__name__ == name
    assert name in getattr(cases, table), f"tests/cases.py has no {table}[{name!r}]"
    text = inspect.getdoc(function) or ""
    assert text.partition("\n")[0].endswith("."), "the first line says what it is"
    sections = {"Args:", "Returns:", "Reference:"}
    sections -= set() if inspect.signature(function).parameters else {"Args:"}
    sections -= {"Reference:"} if family == "plots" else set()
    assert not [section for section in sections if section not in text]
    documented = [p for p in inspect.signature(function).parameters if f"{p}:" not in text]
    assert not [p for p in documented if f"{p}, " not in text and f", {p}" not in text]
    file = pathlib.Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    assert file.parent == PACKAGE.joinpath(*family.split("."))


@pytest.mark.parametrize("table", [t for tables in TABLES.values() for t in tables])
def test_no_case_without_an_entry(table):
    family = next(f for f, tables in TABLES.items() if table in tables)
    assert set(getattr(cases, table)) == set(
        getattr(importlib.import_module(f"jaxopt_lab.{family}"), table)
    )


def test_importing_the_package_does_no_work():
    code = "import sys, jaxopt_lab, jaxopt_lab.cli; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_composing_needs_the_base_dependencies_only():
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("matplotlib", "sklearn"):
            raise ImportError(name)
sys.meta_path.insert(0, Missing())
import jaxopt_lab
for name in jaxopt_lab.__all__:
    getattr(jaxopt_lab, name)
for family in jaxopt_lab._FAMILIES - {"plots"}:
    getattr(jaxopt_lab, family)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_is_named_in_one_line():
    with pytest.raises(InputError, match=r'pip install "jaxopt_lab\[lab\]"') as error:
        require("a_library_that_is_not_there", "lab")
    assert "\n" not in str(error.value)
