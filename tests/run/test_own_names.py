"""The command line with names of one's own, and what a run remembers of them."""

import json
import runpy
import sys

import jax
import numpy as np
import pytest

import jaxopt_lab
from jaxopt_lab.core.errors import InputError, OwnCodeWarning
from jaxopt_lab.core.files import sha256_of
from jaxopt_lab.run.records.seal import seal

MODULE = """
import flax.linen as nn
import jax.numpy as jnp
from sibling import WIDTH

class Mine(nn.Module):
    outputs: int
    width: int = WIDTH

    @nn.compact
    def __call__(self, x):
        from late import scale
        x = nn.Dense(self.width)(scale(x).reshape(len(x), -1))
        return nn.Dense(self.outputs)(nn.relu(x))

def my_loss(outputs, labels, scale: float = 1.0):
    picked = jnp.take_along_axis(outputs, labels[:, None], -1)[:, 0]
    return scale * (jnp.log(jnp.exp(outputs).sum(-1)) - picked)

EXTEND = {"model": [Mine], "loss": [my_loss]}
"""
CONFIG = """
[data]
name = "digits"
train_size = 256
[model]
name = "Mine"
[loss]
name = "my_loss"
[optimizer]
name = "sgd"
learning_rate = 0.05
[train]
steps = 4
"""
SWEEP = CONFIG + '[sweep]\nseeds = 2\n"optimizer.learning_rate" = [0.01, 0.1]\n'


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    for name, text in {
        "mine.py": MODULE,
        "sibling.py": "WIDTH = 6\n",
        "late.py": "scale = lambda x: 2 * x\n",
        "config.toml": CONFIG,
        "sweep.toml": SWEEP,
    }.items():
        (tmp_path / name).write_text(text)
    yield
    for name in ("mine", "sibling", "late"):
        sys.modules.pop(name, None)


def run(*arguments, **extend):
    return jaxopt_lab.main([str(a) for a in arguments], **extend)


def test_a_module_gives_a_run_its_names_and_the_run_keeps_them(tmp_path, capsys):
    path = list(sys.path)
    module = ("--module", "mine.py")
    assert run("train", "config.toml", *module, "--run-dir", "run") == 0
    assert sys.path == path
    rows = json.loads((tmp_path / "run" / "own.json").read_text())
    file = tmp_path / "mine.py"
    wanted = {str(file): sha256_of(file)}
    assert [(r["table"], r["name"], r["files"]) for r in rows] == [
        ("loss", "my_loss", wanted),
        ("model", "Mine", wanted),
    ]
    capsys.readouterr()
    for command in ("evaluate", "diagnose", "spectrum", "landscape"):
        assert run(command, "run") == 2
        error = capsys.readouterr().err
        assert "model 'Mine', of " in error and wanted[str(file)][:12] in error
        assert f"--module {file}" in error and "Traceback" not in error
    assert run("train", "--resume", "run") == 2
    assert "loss 'my_loss'" in capsys.readouterr().err
    with pytest.raises(InputError, match="names of one's own, which are not here"):
        jaxopt_lab.load_run("run")

    assert run("evaluate", "run", *module) == 0
    assert "changed" not in capsys.readouterr().err
    file.write_text(MODULE + "\n# changed\n")
    assert run("evaluate", "run", *module) == 0
    error = capsys.readouterr().err
    assert error.count("the code of my_loss, Mine has changed since") == 1
    assert sha256_of(file)[:12] in error and wanted[str(file)][:12] in error


@pytest.mark.slow
def test_a_sweep_keeps_them_too(tmp_path, capsys):
    assert run("sweep", "sweep.toml", "--module", "mine.py", "--run-dir", "swept") == 0
    assert {r["name"] for r in json.loads((tmp_path / "swept" / "own.json").read_text())} == {
        "Mine",
        "my_loss",
    }
    assert run("sweep", "--resume", "swept") == 2
    assert "model 'Mine'" in capsys.readouterr().err
    assert run("sweep", "--resume", "swept", "--module", "mine.py") == 0
    assert run("diagnose", "swept", "--member", 1, "--module", "mine.py") == 0


def test_python_takes_them_too(tmp_path):
    sys.path.insert(0, str(tmp_path))
    try:
        from mine import EXTEND  # type: ignore

        with jaxopt_lab.extended(EXTEND):
            result = jaxopt_lab.train("config.toml", "run", progress=False)
            again = jaxopt_lab.load_run("run")
            resumed = jaxopt_lab.train(None, "run", resume=True, progress=False)
        jax.tree.map(np.testing.assert_array_equal, result.params, again.params)
        assert resumed.test == result.test
        assert again.apply(np.zeros((2, 8, 8, 1), np.uint8)).shape == (2, 10)
        text = (tmp_path / "run" / "own.json").read_text()
        (tmp_path / "run" / "own.json").write_text(text.replace('.py": "', '.py": "0'))
        seal(tmp_path / "run", {"own.json": None})
        with jaxopt_lab.extended(EXTEND), pytest.warns(OwnCodeWarning, match="has changed"):
            jaxopt_lab.load_run("run")
        (tmp_path / "run" / "own.json").write_text("{")
        seal(tmp_path / "run", {"own.json": None})
        with pytest.raises(InputError, match=r"own\.json: damaged"):
            jaxopt_lab.load_run("run")
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.slow
def test_a_run_without_them_keeps_no_file(tmp_path):
    text = CONFIG.replace("Mine", "linear").replace("my_loss", "softmax_cross_entropy")
    (tmp_path / "plain.toml").write_text(text)
    assert run("train", "plain.toml", "--module", "mine.py", "--run-dir", "run") == 0
    assert not (tmp_path / "run" / "own.json").exists()
    jaxopt_lab.load_run("run")


def test_list_and_the_other_commands_know_them(capsys):
    assert run("list", "model", "--module", "mine.py") == 0
    assert "Mine" in capsys.readouterr().out
    assert run("train", "config.toml", "--module", "mine.py", "--dry-run") == 0
    assert "Mine: (64, 8, 8, 1) -> (64, 10)" in capsys.readouterr().out
    assert run("train", "config.toml", "--module", "mine.py", "--print-config") == 0
    assert 'name = "Mine"\nwidth = 6' in capsys.readouterr().out
    assert run("plot-schedule", "config.toml", "--module", "mine.py") == 0
    assert run("train", "config.toml", "--module", "mine.py", "--set", "model.widht=3") == 2
    assert "model.widht: unknown, did you mean 'width'" in capsys.readouterr().err
    assert run("train", "config.toml") == 2
    assert "model.name: unknown: 'Mine'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = (\n", r"mine.py:2: is no Python: '(' was never closed"),
        ("def f():\n    raise ValueError('boom')\nf()\n", r"mine.py:2: ValueError: boom"),
        ("import no_such_library\n", "mine.py:1: ModuleNotFoundError: No module named 'no_such"),
        ("import sys\nsys.exit(3)\n", "mine.py:2: SystemExit: 3"),
        ("x = 1\n", 'mine.py: has no EXTEND; end it with: EXTEND = {"model": [my_net]}'),
        ("x = 1\nEXTEND = 3\n", "mine.py:2: extend: must be a mapping"),
        ("EXTEND = {'model': 3}\n", "mine.py:1: extend: 'model' must be a list of functions"),
        ("EXTEND = {'layer': []}\n", "extend: unknown table 'layer'"),
        ("x = '\0'\n", "mine.py: is no Python: source code string cannot contain null bytes"),
        (
            "import jaxopt_lab\njaxopt_lab.main(['list', '--module', 'mine.py'])\nEXTEND = {}\n",
            'calls main() where it is loaded: call it under if __name__ == "__main__":',
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_told(tmp_path, capsys, text, message):
    (tmp_path / "mine.py").write_text(text)
    before = dict(sys.modules)
    code = run("train", "config.toml", "--module", "mine.py")
    error = capsys.readouterr().err
    assert code == 2 and message in error and "Traceback" not in error
    assert "mine" not in sys.modules.keys() - before.keys() or "EXTEND" in text or text == "x = 1\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.py", "there is no such file"), (".", "is no Python file"), ("config.toml", "is no Py")],
)
def test_a_module_that_is_no_file_is_told(capsys, name, message):
    assert run("list", "--module", name) == 2
    assert message in capsys.readouterr().err


def test_a_module_is_not_mistaken_for_a_library_of_its_name(tmp_path):
    (tmp_path / "json.py").write_text("EXTEND = {'loss': {'mine': lambda z, y: z[:, 0]}}\n")
    assert run("list", "loss", "--module", "json.py") == 0
    assert sys.modules["json"] is json


SCRIPT = """
import jaxopt_lab
from mine import EXTEND

if __name__ == "__main__":
    jaxopt_lab.main(extend=EXTEND)
"""


def test_a_script_is_the_whole_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(str(tmp_path))

    def script(*arguments):
        """What a process of it would end with."""
        monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
        try:
            runpy.run_path("script.py", run_name="__main__")
        except SystemExit as end:
            return end.code
        return 0

    assert script("train", "config.toml", "--print-config") == 0
    assert 'name = "Mine"' in capsys.readouterr().out
    assert script("train", "config.toml", "--set", "model.width=1.5") == 2
    assert "must be a whole number" in capsys.readouterr().err
    assert script() == 2
