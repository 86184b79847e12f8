"""The notebooks, for a TPU and of the course: well formed, and they run from top to bottom."""

import ast
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import types
import zipfile

import numpy as np
import pytest
import rich.console
from pages import blocks
from processes import environment

from jaxopt_lab.engine import Chunk
from jaxopt_lab.run.terminal import drawn_bar
from jaxopt_lab.run.terminal.progress import Progress

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "scripts" / "colab_tpu.ipynb"
COURSE = ROOT / "scripts" / "course.ipynb"
CONSTRAINTS = ROOT / "scripts" / "constraints-colab.txt"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]
CODE = {cell["id"]: "".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"}


def plain(text):
    """A text without colors and with single spaces."""
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", text).split())


@pytest.mark.parametrize("path", [NOTEBOOK, COURSE], ids=lambda path: path.stem)
def test_it_is_whole_and_holds_no_output(path):
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in ids)
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_a_word_on_each_cell_and_a_cell_for_each_word():
    for cell, following in itertools.pairwise(CELLS):
        if cell["cell_type"] == "markdown" and cell["id"] != "title":
            assert following["cell_type"] == "code"


def test_the_course_is_its_page_and_alone_has_all_that_it_needs():
    command = [sys.executable, ROOT / "scripts" / "make_course.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads(COURSE.read_text())["cells"]
    assert [cell for cell in CELLS if "source" in cell["id"] or "install" in cell["id"]] == cells[
        1:5
    ]
    code = {"".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}
    ran = blocks("docs/course.md", "python", "sh", "toml")
    assert ran and {block.text.strip("\n") for block in ran} <= code
    words = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert not re.search(r"!\[|\]\((?!https?:)|configs/", words)
    pictures = re.findall(r"figures/(\w+)\.png", (ROOT / "docs" / "course.md").read_text())
    assert [c["id"] for c in cells if "picture-" in c["id"]] == [f"picture-{p}" for p in pictures]


PAGE = """# Title

Words.

Of the page alone.

## 1. Chapter

### One

See [the other](other.md), [elsewhere](https://a.b), `configs/digits_mlp.toml`, $a [b](c)$.

```python
1
```

```sh
jaxopt-lab list
```

```toml
# net.toml
seed = 0
```

```
to be read
```

![A step](figures/step_size.png)

### One

Twice.
"""


def test_what_becomes_of_a_page(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from make_course import notebook

    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook(PAGE)["cells"]}
    assert cells["title"].startswith("# Title\n\nWords.\n\nRun ") and "alone" not in cells["title"]
    words = "See the other, [elsewhere](https://a.b), `digits_mlp`, $a [b](c)$."
    picture = cells["picture-step_size"]
    assert list(cells.items())[-7:] == [
        ("one", f"## 1. Chapter\n\n### One\n\n{words}"),
        ("one-code", "1"),
        ("one-code-2", "%%bash -e\njaxopt-lab list"),
        ("one-code-3", "%%writefile net.toml\n# net.toml\nseed = 0"),
        ("one-2", "```\nto be read\n```"),
        ("picture-step_size", picture),
        ("one-3", "### One\n\nTwice."),
    ]
    # The function with all that it takes of its chapter, and the modules that chapters share.
    assert picture.startswith("# @title A step\n") and picture.endswith("\n\n\nstep_size()")
    for taken in (
        "import numpy as np\n",
        "from paths import valley, walk\n",
        "\n# The largest",
        "VALLEY",
    ):
        assert taken in picture
    assert "batch_size" not in picture and "training" not in picture
    assert [name for name in cells if "write-" in name] == ["write-drawing", "write-paths"]


@pytest.mark.parametrize("cell", CODE)
def test_cells_are_plain_python_and_fit_the_page(cell):
    ast.parse(CODE[cell])
    assert max(map(len, CODE[cell].splitlines())) <= 96


def test_it_names_no_address_and_the_versions_are_floors_or_more():
    assert not re.search(r"https?:|git\+|www\.|colab-badge", NOTEBOOK.read_text())
    assert CODE["source"].startswith('SOURCE = ""')
    names = [line.partition("==")[0] for line in CONSTRAINTS.read_text().splitlines()[1:]]
    assert names == ["jax", "jaxlib", "flax", "optax", "numpy"]


@pytest.mark.parametrize("pause", [0, 3600])
def test_a_notebook_has_one_bar_which_is_replaced(monkeypatch, pause):
    """At most so often, because each is a message; what stays at the end is the last."""
    shown = []
    monkeypatch.setattr(drawn_bar, "_PAUSE", pause)

    class Handle:
        def update(self, bar):
            shown.append(plain(bar._repr_mimebundle_((), ())["text/plain"]))

    def display(bar, display_id):
        assert display_id
        return Handle()

    fake = types.ModuleType("IPython.display")
    fake.__dict__["display"] = display
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    console = rich.console.Console(force_jupyter=True)
    monkeypatch.setattr(console, "print", lambda *_, **__: pytest.fail("a line of its own"))
    one = np.ones(1, int)
    with Progress(console=console).training(0, 20, 10) as bar:
        for end in range(1, 21):
            rows = {"loss": np.full((1, 1), 0.5)}
            bar.update(Chunk(None, end - 1, 1, rows, one * end, one > 0, None, 0.1, 0.0))
    assert len(shown) == (2 if pause else 21) and shown[0].startswith("epoch 1/2")
    assert shown[-1].startswith("epoch 2/2") and "20/20 loss 0.5" in shown[-1]


RUN = """
import json, pathlib, sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
wanted, edits = json.loads(sys.argv[2]), json.loads(sys.argv[3])
if wanted:
    notebook.cells = [cell for cell in notebook.cells if cell.id in wanted]
for cell in notebook.cells:
    for old, new in edits.get(cell.id, {}).items():
        assert old in cell.source
        cell.source = cell.source.replace(old, new)
error = ""
try:
    NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
except CellExecutionError as stopped:
    error = stopped.evalue
cells = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
print(json.dumps([error, cells]))
"""


class Kernel:
    """A virtual environment that runs notebooks, in a folder of its own."""

    def __init__(self, folder, python, variables, packages=(), given=None):
        subprocess.run([*python, "-m", "venv", folder / "venv"], check=True, env=variables)
        self.python, self.folder = folder / "venv" / "bin" / "python", folder / "content"
        self.variables = variables | (given or {})
        self.folder.mkdir()
        self.install("nbclient", "ipykernel", *packages)

    def install(self, *packages):
        command = [self.python, "-m", "pip", "install", "-q", *packages]
        subprocess.run(command, check=True, env=self.variables | {"PYTHONPATH": ""})

    def run(self, *cells, notebook=NOTEBOOK, **edits):
        """The message that stopped the notebook, or "", and what each cell put out."""
        command = [self.python, "-c", RUN, notebook, json.dumps(cells), json.dumps(edits)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        error, outputs = json.loads(done.stdout.splitlines()[-1])
        wrong = [out for outs in outputs.values() for out in outs if out.get("name") == "stderr"]
        assert error or not wrong, wrong
        return error, {cell: Outputs(outs) for cell, outs in outputs.items()}


class Outputs(list):
    """The outputs of a cell."""

    @property
    def text(self):
        """All that it says."""
        texts = [out["data"].get("text/plain", "") if "data" in out else "" for out in self]
        texts += ["".join(out.get("text", "")) for out in self]
        return plain(" ".join(texts))


def check_whole(outputs):
    """What a reader sees of the notebook when all has gone well."""
    assert "test accuracy 9" in outputs["compose"].text
    trained, again = outputs["train"].text, outputs["lost"].text
    assert "epoch 50/50" in trained and "950/950" in trained and "finished: test" in trained
    assert len(outputs["train"]) < 8, "a bar that is replaced, not a line now and then"
    assert any("image/png" in out.get("data", {}) for out in outputs["look"])
    assert "finished: 16 of 16 runs" in outputs["sweep"].text
    assert "restored restored/digits from digits-0000" in again
    assert re.search(r"finished: .*?%", trained)[0] == re.search(r"finished: .*?%", again)[0]
    assert "digits-000002.tar rates-000001.tar" in outputs["flush"].text


@pytest.fixture(scope="module", name="kernel")
def _kernel(tmp_path_factory):
    """This environment with what runs notebooks beside it, and two CPU devices, in odd folders."""
    folder = tmp_path_factory.mktemp("a kernel")
    own = {"TMPDIR": str(folder)}
    return Kernel(folder, [sys.executable], environment(devices=2), given=own)


def test_runs_from_top_to_bottom_and_after_a_lost_session(kernel):
    error, outputs = kernel.run()
    assert not error
    check_whole(outputs)
    assert outputs["devices"].text.startswith("2 x cpu (cpu) jax ")
    assert "on 2 cpu devices" in outputs["sweep"].text
    again = kernel.run()  # all of it once more, as a reader does
    assert not again[0] and "finished: test" in again[1]["train"].text

    # What is left when the machine is gone.
    for name in ("runs", "restored"):
        shutil.rmtree(kernel.folder / name)
    before = ["source", "install", "devices", "drive"]
    error, _ = kernel.run(*before, "compose", "train")
    assert "has archives of an earlier 'digits'" in error and "restore" in error
    assert not (kernel.folder / "runs" / "digits" / "config.toml").exists()
    error, outputs = kernel.run(*before, "lost")
    assert not error and "finished: test accuracy" in outputs["lost"].text


def test_the_course_runs_from_top_to_bottom_and_draws_its_pictures(kernel):
    error, outputs = kernel.run(notebook=COURSE)
    assert not error
    for cell, shown in outputs.items():
        assert shown or cell in ("source", "install", "pictures")
        pictures = [out for out in shown if "image/png" in out.get("data", {})]
        assert len(pictures) == cell.startswith("picture-")


def test_stops_with_a_message(kernel):
    there = 'importlib.util.find_spec("libtpu") is not None'
    error, _ = kernel.run("source", "install", "devices", devices={there: "True"})
    assert error.startswith("A TPU was expected, and JAX runs on: cpu.")
    no_package = {'find_spec("jaxopt_lab")': 'find_spec("jaxopt_lab_elsewhere")'}
    error, _ = kernel.run("source", "install", install=no_package)
    assert error.startswith("jaxopt_lab is not installed")
    error, _ = kernel.run("source", "install", source={'""': '"none.whl"'})
    assert "none.whl[lab] was not installed" in error


SHOWN = {
    "config": """
        import jaxopt_lab
        from jaxopt_lab import Config, data, plots, schedules
        config = Config.of(
            data="digits",
            model=dict(name="mlp", hidden=[16]),
            optimizer=dict(name="adam", learning_rate=1e-2),
            train=dict(epochs=5),
        )
        config""",
    "data": "data.digits()",
    "schedule": "schedules.cosine_decay(100)",
    "train": "result = jaxopt_lab.train(config)",
    "result": "result",
    "run": "result.run",
    "sweep": """
        from pathlib import Path
        axis = "[sweep]\\n'optimizer.learning_rate' = [1e-3, 1e-2]"
        Path("sweep.toml").write_text(config.to_toml() + axis)
        swept = jaxopt_lab.sweep("sweep.toml")""",
    "swept": "swept",
    "plot": "plots.loss_curve(result.history)",
    "quiet": "plots.loss_curve(result.history);",
    "inline": "%matplotlib inline\nplots.loss_curve(result.history)",
    "range": """
        from jaxopt_lab.run.commands.find_lr import find_lr
        found = find_lr(config, steps=50)""",
}


@pytest.mark.slow
def test_objects_show_themselves_and_bars_leave_one_line(kernel):
    cells = [
        {
            "cell_type": "code",
            "id": name,
            "source": textwrap.dedent(source).strip(),
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for name, source in SHOWN.items()
    ]
    notebook = kernel.folder / "shown.ipynb"
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    notebook.write_text(json.dumps(whole))
    error, outputs = kernel.run(notebook=notebook)
    assert not error
    for cell, kind in {
        "config": "Config",
        "data": "Dataset",
        "schedule": "cosine_decay",
        "result": "Result",
        "run": "Run",
        "swept": "Sweep",
    }.items():
        (shown,) = outputs[cell]
        assert shown["output_type"] == "execute_result" and len(outputs[cell].text) < 400
        assert f'<div class="title">{kind}' in "".join(shown["data"]["text/html"])
        assert "image/png" not in shown["data"]
    pictures = {cell: "".join(map(str, outputs[cell])).count("<img ") for cell in outputs}
    assert pictures["result"] == pictures["run"] == 3 and pictures["data"] == 10
    assert pictures["swept"] == 2
    for cell in ("plot", "inline"):
        (shown,) = outputs[cell]
        assert set(shown["data"]) == {"image/png", "text/plain"}
    assert not outputs["quiet"]
    # The opening, the bar, the verdict and its table.
    assert len(outputs["train"]) == 4 and "compiling" not in outputs["train"].text
    bars = [plain(out["data"]["text/plain"]) for out in outputs["train"]]
    (bar,) = [text for text in bars if text.startswith("epoch")]
    assert re.fullmatch(r"epoch 5/5 ━+ 100/100 loss .* val acc .* steps/s 0\d:\d\d", bar)
    assert [out.text.count("━ 100%") for out in (outputs["sweep"],)] == [1]
    assert len(re.findall(r"━ \d+/50 ", outputs["range"].text)) == 1


def newest_python():
    """The command and the environment of the newest Python here that the Colab image may have."""
    for version in ("3.13", "3.12", "3.11"):
        for pyenv in (os.environ.get("PYENV_VERSION", ""), version, f"{version}.0"):
            variables = os.environ | {"PYENV_VERSION": pyenv}
            if shutil.which(f"python{version}"):
                command = [f"python{version}"]
                look = subprocess.run([*command, "-c", ""], env=variables, check=False, stderr=-3)
                if look.returncode == 0:
                    return command, variables
    return None


def test_runs_on_colabs_versions_and_leaves_them_alone(tmp_path):
    found = newest_python()
    if found is None:
        pytest.skip("needs Python 3.13, 3.12 or 3.11 with venv")
    command, variables = found
    variables = {k: v for k, v in variables.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    kernel = Kernel(tmp_path, command, variables | {"JAX_PLATFORMS": "cpu"})
    kernel.install("-r", CONSTRAINTS)
    pinned = sorted(CONSTRAINTS.read_text().splitlines()[1:])

    def versions():
        freeze = [kernel.python, "-m", "pip", "freeze"]
        lines = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
        return sorted(line for line in lines.splitlines() if line in pinned)

    assert versions() == pinned
    wheel = [kernel.python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", kernel.folder, ROOT]
    subprocess.run(wheel, check=True)
    (built,) = kernel.folder.glob("*.whl")
    assert "jaxopt_lab/run/commands/backup.py" in zipfile.ZipFile(built).namelist()
    error, outputs = kernel.run(source={'""': repr(built.name)})
    assert not error
    check_whole(outputs)
    assert "jax 0.7.2" in outputs["devices"].text
    assert versions() == pinned
