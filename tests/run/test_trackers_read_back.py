"""The real trackers, in an environment of their own: what they wrote is read by their own readers.

A run is killed at step 212, 12 steps past its checkpoint, and goes on. Each part runs this file in
a process of its own, because MLflow warns and W&B has a service.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CRASH, STEPS = 212, 260
CONFIG = """
[data]
name = "digits"
batch_size = 32
validation = 0.15
[model]
name = "mlp"
hidden = [16]
[optimizer]
name = "adam"
learning_rate = 1e-3
[train]
steps = 260
evaluate_every = 50
checkpoint_every = 100
[log]
layers = 20
tensorboard = true
wandb = { project = "digits" }
mlflow = { uri = "sqlite:///mlflow.db" }
"""


@pytest.mark.slow
def test_each_step_is_read_back_once(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    package = f"{ROOT}[lab,tensorboard,wandb,mlflow]"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "-e",
        package,
        "tensorboard",
        "pytest",
    ]
    subprocess.run(install, check=True)
    (tmp_path / "config.toml").write_text(CONFIG)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    for part, code in (("crash", 9), ("go_on", 0), ("read", 0), ("swept", 0)):
        done = subprocess.run(
            [python, __file__, part],
            cwd=tmp_path,
            env=variables | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "goes on without it" not in done.stderr, done.stderr


def crash():
    import jaxopt_lab
    from jaxopt_lab.run.process import distributed
    from jaxopt_lab.run.trackers.tracking import Tracking

    add = Tracking.add

    def add_and_crash(self, chunk):
        add(self, chunk)
        if chunk.end == CRASH:
            while any(tracker._waiting.qsize() for tracker in self._trackers):
                time.sleep(0.1)
            time.sleep(2)
            os._exit(9)

    Tracking.add, distributed.steps_per_chunk = add_and_crash, lambda: 4
    jaxopt_lab.train("config.toml", "run", progress=False)


def go_on():
    import jaxopt_lab

    result = jaxopt_lab.train(None, "run", resume=True, progress=False)
    assert result.stopped_by == "finished"


def read():
    rows = [json.loads(line) for line in pathlib.Path("run/metrics.jsonl").read_text().splitlines()]
    loss = [(row["step"], row["loss"]) for row in rows if "step" in row]
    val = [(row["eval_step"], row["val_loss"]) for row in rows if "eval_step" in row]
    norm = [(row["step"], row["grad_norm"]) for row in rows if "grad_norm" in row]
    assert [step for step, _ in loss] == [*range(1, STEPS + 1)] and len(norm) == STEPS // 20
    _read_tensorboard(loss, val, norm)
    _read_mlflow(loss, val, norm)
    files = sorted(pathlib.Path("run/wandb").glob("offline-run-*/run-*.wandb"))
    names = {path.stem.removeprefix("run-") for path in files}
    known = json.loads(pathlib.Path("run/wandb.json").read_text())
    assert len(files) == 2 and names == {known["id"]} and known["logged"] == STEPS


def _read_tensorboard(loss, val, norm):
    from tensorboard.backend.event_processing import plugin_event_accumulator
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    everything = dict.fromkeys(("scalars", "histograms", "images"), 0)
    found = EventAccumulator("run/tensorboard", size_guidance=everything)
    found.Reload()
    for name, expected in (("loss", loss), ("val_loss", val), ("grad_norm", norm)):
        assert [event.step for event in found.Scalars(name)] == [step for step, _ in expected]
        for event, (_, value) in zip(found.Scalars(name), expected, strict=True):
            assert abs(event.value - value) <= 1e-6 * abs(value)
    assert [event.step for event in found.Scalars("test_loss")] == [STEPS]
    kernels = found.Histograms("parameters/Dense_0/kernel")
    assert [event.step for event in kernels] == [250, STEPS]
    assert kernels[-1].histogram_value.num == 64 * 16
    assert len(found.Tags()["images"]) == 12
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"optimizer.learning_rate" in content
    # What TensorBoard itself reads by has other rules.
    guide = dict.fromkeys(("scalars", "images", "histograms"), 1000)
    shown = plugin_event_accumulator.EventAccumulator("run/tensorboard", {}, guide)
    shown.Reload()
    assert [event.step for event in shown.Tensors("loss")] == [step for step, _ in loss]
    assert shown.SummaryMetadata("worst/01").display_name.startswith("1: true ")


def _read_mlflow(loss, val, norm):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'jaxopt_lab'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == json.loads(pathlib.Path("run/mlflow.json").read_text())["id"]
    assert run.info.status == "FINISHED" and run.info.run_name == "run"
    assert run.data.params["optimizer.learning_rate"] == "0.001"
    for name, expected in (("loss", loss), ("val_loss", val), ("grad_norm", norm)):
        history = client.get_metric_history(run.info.run_id, name)
        assert sorted(metric.step for metric in history) == [step for step, _ in expected]
        values = {metric.step: metric.value for metric in history}
        assert all(abs(values[step] - value) <= 1e-6 * abs(value) for step, value in expected)
    assert len(client.get_metric_history(run.info.run_id, "test_loss")) == 1


def swept():
    from mlflow import MlflowClient

    import jaxopt_lab
    from jaxopt_lab.config.sweep import load_sweep

    plan = load_sweep("config.toml", ["train.steps=20"], ["optimizer.learning_rate=[1e-3,1e-2]"])
    jaxopt_lab.sweep(plan, "swept", progress=False)
    client = MlflowClient(tracking_uri="sqlite:///mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'jaxopt_lab'")
    runs = client.search_runs([experiment.experiment_id], filter_string="tags.group = 'swept'")
    assert {run.data.params["optimizer.learning_rate"] for run in runs} == {"0.001", "0.01"}
    assert all(len(client.get_metric_history(r.info.run_id, "loss")) == 20 for r in runs)
    assert len(list(pathlib.Path("swept/wandb").glob("offline-run-*/run-*.wandb"))) == 2
    assert len(list(pathlib.Path("swept/tensorboard").glob("run-*/events.*"))) == 2


if __name__ == "__main__":
    globals()[sys.argv[1]]()
