"""Trackers: what they are given, that no run waits for one, and that each step comes once."""

import importlib
import importlib.util
import io
import json
import re
import struct
import sys
import threading
import time
import types

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto import event_pb2, plugin_hparams_pb2

import jaxopt_lab
from jaxopt_lab.config.checks import ConfigError
from jaxopt_lab.config.dump import config_hash, to_toml
from jaxopt_lab.config.load import load_config
from jaxopt_lab.config.parse import parse_config
from jaxopt_lab.config.sweep import parse_sweep
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.png import png_of
from jaxopt_lab.run.process import distributed
from jaxopt_lab.run.records.archive import whole_files
from jaxopt_lab.run.trackers import background, rows
from jaxopt_lab.run.trackers.hyperparameters import MOST_LETTERS, hyperparameters

TABLES = {
    "data": {"name": "digits", "batch_size": 32, "validation": 0.15, "train_size": 160},
    "model": {"name": "mlp", "hidden": [16]},
    "optimizer": {"name": "adam", "learning_rate": 1e-2},
    "train": {"steps": 40, "evaluate_every": 10, "checkpoint_every": 20},
}
EVENTS = {"tensorboard": {"histograms": 2}}


@pytest.fixture(scope="module", autouse=True)
def _no_report():
    """Nothing here looks at one, and its plots would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("train", "sweep"):
            module = importlib.import_module(f"jaxopt_lab.run.commands.{name}")
            report = "write_report" if name == "train" else "write_sweep_report"
            patch.setattr(module, report, lambda *what: None)
        yield


def train(log, run_dir=None, **how):
    tables = TABLES | ({"log": log} if log else {})
    return jaxopt_lab.train(parse_config(tables), run_dir, progress=False, **how)


def resume(run_dir, step, **how):
    return jaxopt_lab.train(None, run_dir, resume=True, from_step=step, progress=False, **how)


class Logger:
    """What `wandb.init()` gives, as far as it is asked for."""

    def __init__(self):
        self.calls = []

    def log(self, data, step=None, commit=None):
        self.calls.append((step, data))

    def column(self, name):
        return {step: values[name] for step, values in self.calls if name in values}


def column(history, name, steps="step"):
    return dict(zip(history[steps].tolist(), history[name].tolist(), strict=True))


def events(folder):
    """Events as TensorBoard shows them: a second START drops those of its step and on."""
    found, sessions = [], 0
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
            at += size + 16
            if event.session_log.status == event_pb2.SessionLog.START:
                sessions += 1
                if sessions > 1:
                    found = [old for old in found if old.step < event.step]
            found.append(event)
    return found


def values_of(found, kind):
    return [(e.step, v) for e in found for v in e.summary.value if v.WhichOneof("value") == kind]


def scalars(found, name):
    each = [(step, v.simple_value) for step, v in values_of(found, "simple_value") if v.tag == name]
    assert len(each) == len(dict(each)), "a step is there twice"
    return dict(each)


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    """A run with event files and a logger, and the same run without."""
    place, logger = tmp_path_factory.mktemp("runs"), Logger()
    log = EVENTS | {"layers": 5}
    result = train(log, place / "tracked", loggers=[logger])
    train({"layers": 5}, place / "plain")
    return place / "tracked", result, logger


def test_event_files_hold_what_the_log_has(run):
    folder, result, _ = run
    found = events(folder / "tensorboard")
    for name in ("loss", "accuracy", "learning_rate"):
        assert scalars(found, name) == column(result.history, name)
    for name in ("val_loss", "val_accuracy", "train_loss"):
        assert scalars(found, name) == column(result.history, name, "eval_step")
    ratio = column(result.history, "update_ratio/Dense_0")
    assert scalars(found, "update_ratio/Dense_0") == {s: ratio[s] for s in range(5, 41, 5)}
    assert scalars(found, "test_loss") == {40: pytest.approx(result.test["loss"])}


def test_event_files_hold_histograms_of_the_parameters(run):
    folder, result, _ = run
    found = [(s, v) for s, v in values_of(events(folder / "tensorboard"), "histo")]
    names = {f"parameters/Dense_{i}/{leaf}" for i in (0, 1) for leaf in ("kernel", "bias")}
    assert {(s, v.tag) for s, v in found} == {(s, name) for s in (20, 40) for name in names}
    kernel = np.float64(result.params["Dense_0"]["kernel"])
    last = next(v.histo for s, v in found if s == 40 and v.tag == "parameters/Dense_0/kernel")
    assert last.num == kernel.size == sum(last.bucket)
    np.testing.assert_allclose(
        [last.sum, last.min, last.max], [kernel.sum(), kernel.min(), kernel.max()]
    )


def test_event_files_hold_the_worst_samples_and_the_hyperparameters(run):
    folder, _, _ = run
    found = events(folder / "tensorboard")
    pictures = values_of(found, "image")
    assert [v.tag for _, v in pictures] == [f"worst/{i:02d}" for i in range(1, 13)]
    losses = []
    for step, value in pictures:
        told = re.fullmatch(
            r"true (\d), predicted (\d), loss (.+)", value.metadata.summary_description
        )
        assert step == 40 and told
        losses.append(float(told[3]))
        image = Image.open(io.BytesIO(value.image.encoded_image_string))
        assert image.size == (96, 96) and image.mode == "L"
    assert losses == sorted(losses, reverse=True)
    (begun,) = [
        v.metadata.plugin_data.content
        for e in found
        for v in e.summary.value
        if v.tag == "_hparams_/session_start_info"
    ]
    given = plugin_hparams_pb2.HParamsPluginData.FromString(begun).session_start_info.hparams
    assert given["optimizer.learning_rate"].number_value == 1e-2
    assert given["model.name"].string_value == "mlp"
    assert given["classes"].string_value == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9"


def test_a_logger_is_given_each_step_once_and_in_order(run):
    _, result, logger = run
    assert [step for step, _ in logger.calls] == [*range(1, 41), 40]
    assert logger.column("loss") == column(result.history, "loss")
    assert logger.column("val_loss") == column(result.history, "val_loss", "eval_step")
    assert logger.column("test_accuracy") == {40: result.test["accuracy"]}
    assert {type(v) for _, values in logger.calls for v in values.values()} == {float}


def test_trackers_leave_no_trace_in_the_run(run):
    folder, plain = run[0], run[0].with_name("plain")
    for path in (folder / "metrics.jsonl", *folder.glob("checkpoints/*"), *folder.glob("kept/*")):
        assert path.read_bytes() == (plain / path.relative_to(folder)).read_bytes()
    assert "tensorboard" not in (plain / "config.toml").read_text()


def test_after_a_crash_each_step_is_there_once(tmp_path):
    logger = Logger()
    whole = train(EVENTS, tmp_path / "run").history
    resume(tmp_path / "run", 20, loggers=[logger])
    found = events(tmp_path / "run" / "tensorboard")
    assert scalars(found, "loss") == column(whole, "loss")
    assert scalars(found, "val_loss") == column(whole, "val_loss", "eval_step")
    assert scalars(found, "test_loss").keys() == {40}
    assert {v.tag: s for s, v in values_of(found, "histo") if s > 20}.keys()
    assert [step for step, _ in logger.calls] == [*range(21, 41), 40]


class Fails:
    def __init__(self, error, at=1):
        self.error, self.at, self.calls = error, at, 0

    def log(self, values, *, step):
        self.calls += 1
        if self.calls >= self.at:
            raise self.error


class Hangs:
    def log(self, values, *, step):
        threading.Event().wait()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Fails(RuntimeError("no\nroute")), "RuntimeError: no route"),
        (Fails(SystemExit(3), at=30), "SystemExit: 3"),
        (Hangs(), r"has done nothing for 0\.3 s"),
    ],
    ids=["fails", "exits", "hangs"],
)
def test_one_that_fails_or_hangs_is_given_up_with_one_message(bad, why, monkeypatch, capfd):
    monkeypatch.setattr(background, "PATIENCE", 0.3)
    good = Logger()
    before = time.monotonic()
    result = train(None, loggers=[bad, good])
    assert time.monotonic() - before < 20 and result.stopped_by == "finished"
    (line,) = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"logger 0 \({type(bad).__name__}\) .*{why}; the run goes on .*", line)
    assert good.column("loss") == column(result.history, "loss")


def test_one_that_falls_behind_is_given_up(monkeypatch, capfd):
    monkeypatch.setattr(background, "MOST_WAITING", 3)
    monkeypatch.setattr(background, "PATIENCE", 0.3)
    tables = TABLES | {"train": TABLES["train"] | {"evaluate_every": 2}}
    jaxopt_lab.train(parse_config(tables), progress=False, loggers=[Hangs()])
    assert re.fullmatch(r"logger 0 \(Hangs\) is 3 calls behind; .*\n", capfd.readouterr().err)


def test_a_tracker_that_cannot_begin_is_given_up(tmp_path, capfd):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").write_text("in the way")
    assert train(EVENTS, tmp_path / "run").stopped_by == "finished"
    assert re.fullmatch(r"TensorBoard failed: .*FileExistsError.*\n", capfd.readouterr().err)


def test_numbers_that_are_not_finite_arrive(tmp_path, capfd):
    logger = Logger()
    tables = TABLES | {
        "optimizer": {"name": "sgd", "learning_rate": 1e30},
        "log": EVENTS,
    }
    result = jaxopt_lab.train(
        parse_config(tables), tmp_path / "run", progress=False, loggers=[logger]
    )
    assert result.stopped_by == "diverged" and not capfd.readouterr().err
    found = scalars(events(tmp_path / "run" / "tensorboard"), "loss")
    np.testing.assert_equal(found, column(result.history, "loss"))
    np.testing.assert_equal(logger.column("loss"), column(result.history, "loss"))
    assert not np.isfinite(list(found.values())[-1])


class Wandb(types.ModuleType):
    """As much of W&B as is called."""

    def __init__(self, run=None, init=None):
        super().__init__("wandb")
        self.__spec__ = importlib.util.spec_from_loader("wandb", loader=None)
        self.inits, self.run, self._init = [], run, init

    def Settings(self, **how):
        return how

    def init(self, **how):
        self.inits.append(how)
        if self._init:
            self._init()
        logger = Logger()
        logger.summary, logger.finished = {}, []
        logger.finish = lambda exit_code: logger.finished.append(exit_code)
        self.run = logger
        return logger


WANDB = {"wandb": {"project": "digits"}}


def test_wandb_is_given_its_run_and_goes_on_with_it(tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    result = train(WANDB, tmp_path / "first")
    first, (how,) = wandb.run, wandb.inits
    assert (how["project"], how["mode"], how["name"]) == ("digits", "offline", "first")
    assert how["config"]["optimizer.learning_rate"] == 1e-2 and "resume" not in how
    assert how["dir"] == str(tmp_path / "first")
    assert first.column("loss") == column(result.history, "loss")
    assert first.finished == [0] and first.summary == {"stopped_by": "finished"}
    known = json.loads((tmp_path / "first" / "wandb.json").read_text())
    assert known == {"id": how["id"], "logged": 40, "scored": 40}
    # Of the crash at step 32: W&B knows of more than the checkpoint.
    path = tmp_path / "first" / "wandb.json"
    path.write_text(json.dumps({"id": how["id"], "logged": 32}))
    resume(tmp_path / "first", 20)
    assert wandb.inits[1]["id"] == how["id"]
    assert [step for step, _ in wandb.run.calls] == [*range(33, 41), 40]


def test_wandb_is_sent_nothing_unless_the_file_says_so(tmp_path, monkeypatch):
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_MODE", "online")
    train(WANDB)
    train({"wandb": WANDB["wandb"] | {"mode": "online", "entity": "us"}})
    offline, online = wandb.inits
    assert (offline["mode"], online["mode"]) == ("offline", "online")
    assert (online["resume"], online["entity"]) == ("allow", "us")


@pytest.mark.parametrize("how", ["raises", "hangs"])
def test_wandb_that_does_not_begin_is_given_up(how, monkeypatch, capfd):
    def fail():
        raise ConnectionError("no network")

    monkeypatch.setattr(background, "PATIENCE", 0.3)
    begin = fail if how == "raises" else threading.Event().wait
    monkeypatch.setitem(sys.modules, "wandb", Wandb(init=begin))
    assert train(WANDB).stopped_by == "finished"
    why = {"raises": "failed: .*no network", "hangs": "has done nothing"}[how]
    assert re.fullmatch(rf"W&B {why}.*\n", capfd.readouterr().err)


@pytest.mark.parametrize(
    ("key", "log"),
    [
        ("tensorboard", {"tensorboard": True}),
        ("wandb", WANDB),
        ("mlflow", {"mlflow": {"uri": "sqlite:///a.db"}}),
    ],
)
def test_a_missing_package_is_told_before_any_work(key, log, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for start in (
        lambda: train(log, tmp_path / "run"),
        lambda: jaxopt_lab.sweep(
            parse_sweep(TABLES | {"log": log, "sweep": {"seeds": 2}}),
            tmp_path / "run",
            progress=False,
        ),
    ):
        with pytest.raises(InputError, match=rf'pip install "jaxopt_lab\[({key}|lab)\]"'):
            start()
    assert not (tmp_path / "run" / "config.toml").exists()


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ({"tensorboard": 3}, r"log\.tensorboard: must be true, false or a table .*, got 3"),
        ({"tensorboard": {"histogram": 3}}, r"log\.tensorboard\.histogram: unknown.*histograms"),
        (
            {"tensorboard": {"histograms": -1}},
            r"log\.tensorboard\.histograms: must be >= 0, got -1",
        ),
        ({"wandb": True}, r"log\.wandb\.project: missing; the name of a project"),
        ({"wandb": {"project": "a", "api_key": "b"}}, r"log\.wandb\.api_key: unknown"),
        (
            {"wandb": {"project": "a", "mode": "offlin"}},
            r"log\.wandb\.mode: .*did you mean.*offline",
        ),
        ({"wandb": {"project": 3}}, r"log\.wandb\.project: must be .*, got 3"),
        ({"mlflow": {}}, r"log\.mlflow\.uri: missing; the store"),
        ({"mlflow": {"uri": "file:///a"}}, r"log\.mlflow\.uri: .*sqlite.*got 'file:///a'"),
        ({"mlflow": {"uri": "mlruns"}}, r"log\.mlflow\.uri: .*sqlite.*got 'mlruns'"),
        ({"tensorbord": True}, r"log\.tensorbord: unknown.*tensorboard"),
    ],
    ids=str,
)
def test_bad_input_is_named(log, message):
    with pytest.raises(ConfigError, match=message) as error:
        parse_config(TABLES | {"log": log})
    assert len(error.value.faults) == 1


def test_loggers_that_cannot_log_are_refused():
    for bad in ([print], [Logger], Logger(), [None]):
        with pytest.raises(InputError, match=r"with \.log\(dict, step=\)"):
            train(None, loggers=bad)
    with pytest.raises(InputError, match="give run_dir"):
        train(EVENTS)


def test_a_file_reads_back_and_trackers_are_no_part_of_a_run_s_identity(tmp_path):
    log = {"tensorboard": True, "wandb": WANDB["wandb"], "mlflow": {"uri": "sqlite:///a.db"}}
    config, plain = parse_config(TABLES | {"log": log}), parse_config(TABLES)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config))
    assert load_config(path).log == config.log and config_hash(config) == config_hash(plain)
    assert parse_config(TABLES | {"log": {"tensorboard": False}}) == plain
    assert config_hash(parse_config(TABLES | {"log": {"layers": 5}})) != config_hash(plain)


def test_a_thousand_classes_are_cut_short(tmp_path):
    names = [f"a class of number {i}" for i in range(1000)]
    found = hyperparameters(parse_config(TABLES | {"log": EVENTS}), names)
    assert len(found["classes"]) == MOST_LETTERS and found["classes"].endswith("(1,000 in all)")
    assert all(isinstance(v, bool | int | float | str) for v in found.values())
    assert found["model.hidden"] == "[16]" and not any(k.startswith("log") for k in found)
    x, y = np.random.default_rng(0).random((1000, 4)), np.arange(1000)
    data = jaxopt_lab.data.Dataset({"x": x, "y": y}, {"x": x, "y": y}, tuple(names))
    train(EVENTS, tmp_path / "run", data=data)
    assert len(scalars(events(tmp_path / "run" / "tensorboard"), "loss")) == 40


def test_a_long_run_is_thinned_alike_whether_it_goes_on_or_not():
    assert rows.rows_each(570, 1) == 1 and rows.rows_each(2000, 1) == 1
    assert rows.rows_each(2001, 1) == 2 and rows.rows_each(100_000, 20) == 60
    steps = np.arange(1, 101)
    columns = {
        "step": steps,
        "loss": steps / 7,
        "grad_norm": np.where(steps % 25 == 0, 1.0, np.nan),
        "eval_step": np.array([33, 100]),
        "val_loss": np.array([np.nan, 2.0]),
    }
    found = dict(rows.rows_of_history(columns, 10))
    assert sorted(found) == [10, 20, 25, 30, 33, 40, 50, 60, 70, 75, 80, 90, 100]
    assert found[100] == {"loss": 100 / 7, "grad_norm": 1.0, "val_loss": 2.0}
    assert found[10] == {"loss": 10 / 7} and np.isnan(found[33]["val_loss"])


def test_one_process_of_several_tells_the_trackers(monkeypatch):
    logger = Logger()
    monkeypatch.setattr(distributed, "is_first", lambda: False)
    train(None, loggers=[logger])
    assert not logger.calls


def test_event_files_are_logs_to_a_backup(run):
    assert not [path for path in whole_files(run[0]) if "tensorboard" in path]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_picture_is_what_it_was(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    found = np.asarray(Image.open(io.BytesIO(png_of(pixels))))
    np.testing.assert_array_equal(found.reshape(pixels.shape), pixels)


SWEEP = TABLES | {
    "log": EVENTS,
    "sweep": {"optimizer.learning_rate": [1e-3, 1e-2], "seeds": 2},
    "train": {"steps": 20, "evaluate_every": 10},
}


def test_each_run_of_a_sweep_is_one_of_its_trackers(tmp_path):
    loggers = {}

    def logger_of(run):
        return loggers.setdefault(json.dumps(run.values), Logger())

    plan = parse_sweep(SWEEP)
    result = jaxopt_lab.sweep(plan, tmp_path / "sweep", progress=False, loggers=logger_of)
    assert [json.loads(values) for values in loggers] == [dict(r.values) for r in plan.runs]
    for i, (record, logger) in enumerate(zip(result.runs, loggers.values(), strict=True)):
        found = events(tmp_path / "sweep" / "tensorboard" / f"run-{i:04d}")
        assert scalars(found, "loss") == column(record.history, "loss") == logger.column("loss")
        assert scalars(found, "val_loss") == column(record.history, "val_loss", "eval_step")
        assert scalars(found, "test_loss").keys() == {20}
        assert {step for step, _ in values_of(found, "histo")} == {20}
    lines = (tmp_path / "sweep" / "trackers.jsonl").read_text().splitlines()
    sent = [json.loads(line) for line in lines]
    assert len(sent) == 8
    # As if it was killed before the last of its runs was sent.
    lines = [row for row in sent if row != {"tracker": "TensorBoard", "run": 3}]
    (tmp_path / "sweep" / "trackers.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in lines))
    again = Logger()
    jaxopt_lab.sweep(
        None, tmp_path / "sweep", resume=True, progress=False, loggers=lambda run: again
    )
    assert not again.calls
    found = events(tmp_path / "sweep" / "tensorboard" / "run-0003")
    assert scalars(found, "loss") == column(result.runs[3].history, "loss")


def test_a_list_of_loggers_is_none_of_a_sweep():
    with pytest.raises(InputError, match="run -> logger"):
        jaxopt_lab.sweep(parse_sweep(SWEEP), progress=False, loggers=[Logger()])
