"""The command line: what it prints, its exit codes, and no traceback for a user's mistake."""

import concurrent.futures
import contextlib
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import rich.console

from jaxopt_lab import cli
from jaxopt_lab.run.records.folder import new_folder
from jaxopt_lab.run.terminal.progress import Progress

CONFIG = """
[data]
name = "digits"
[model]
name = "mlp"
hidden = [16]
[optimizer]
name = "adam"
learning_rate = 0.01
[train]
epochs = 1
"""
ENVIRONMENT = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"}
COMMAND = [sys.executable, "-m", "jaxopt_lab.cli"]


@pytest.fixture(autouse=True)
def _no_shared_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "0")
    monkeypatch.delenv("JAXOPT_LAB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_text(CONFIG)


def run(*arguments):
    return cli.main(arguments)


def test_train_writes_a_numbered_run_folder(tmp_path, capsys):
    assert run("train", "config.toml") == 0
    assert run("train", "config.toml", "--set", "seed=1") == 0
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"config-001", "config-002"}
    out = capsys.readouterr().out
    assert "finished: test accuracy" in out
    assert "epoch 1/1" in out
    assert "\x1b" not in out, "plain lines where there is no terminal"


def test_print_config_is_a_config_with_every_default(tmp_path, capsys):
    assert run("train", "config.toml", "--print-config", "--set", "optimizer.b1=0.8") == 0
    out = capsys.readouterr().out
    assert "b1 = 0.8" in out
    assert "b2 = 0.999" in out
    (tmp_path / "again.toml").write_text(out)
    assert run("train", "again.toml", "--print-config") == 0
    assert capsys.readouterr().out == out
    assert not (tmp_path / "runs").exists()


def test_dry_run_counts_without_training(tmp_path, capsys):
    assert run("train", "config.toml", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "1,210" in out  # (64 + 1) 16 + (16 + 1) 10 parameters
    assert "optimizer state" in out
    assert "9.457 KiB" in out  # twice 1,210 float32 and a count
    assert "Nothing was trained" in out
    long = 'augment=[{name="cutout", length=9}]'
    assert run("train", "config.toml", "--dry-run", "--set", long) == 2
    assert "cutout: length must be at most" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_list_shows_names_arguments_and_defaults(capsys):
    assert run("list", "optimizer") == 0
    out = capsys.readouterr().out
    assert "adam" in out
    assert "learning_rate = required" in out
    assert "b2 = 0.999" in out
    assert run("list") == 0
    assert "random_crop" in capsys.readouterr().out
    assert run("list", "initializer") == 0
    assert "he_normal" in capsys.readouterr().out
    assert run("list", "corruptions") == 0
    assert "glass_blur" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "none.toml"], "no such file"),
        (["train", "."], "a folder"),
        (["train"], "give a CONFIG"),
        (
            ["train", "config.toml", "--set", "optimizer.learning_rat=1"],
            "did you mean 'learning_rate'",
        ),
        (["train", "config.toml", "--set", "data.batch_size=99999"], "is more than the"),
        (["train", "config.toml", "--set", "data.name=cifar10"], "--data-dir"),
        (["train", "config.toml", "--set", "data.name=cifar10", "--data-dir", "none"], "cifar"),
        (["train", "config.toml", "--set", "augment=cutmix"], "must be a table, [[augment]]"),
        (["train", "--resume", "none"], "no run to resume"),
        (["train", "config.toml", "--resume", "a", "--run-dir", "b"], "leave out --run-dir"),
        (["train", "--resume", "a", "--set", "seed=1"], "no run to resume"),
        (["train", "config.toml", "--run-dir", "config.toml/below"], "cannot be a run folder"),
        (["train", "config.toml", "--run-dir", "x" * 300], "cannot be a run folder"),
        (["train", "config.toml", "--set", "train.epochs=1e30"], "more than a run can count"),
        (["train", "config.toml", "--set", "train.epochs=1", "--unset", "x"], "there is no 'x'"),
        (["train", "--resume", "a", "--unset", "seed"], "--unset needs a CONFIG"),
        (["find-lr", "config.toml", "--set", "seed=4294967295"], "go past 4294967295"),
        (["find-lr", "config.toml", "--steps", "1000000000000"], "needs steps >= 10"),
        (["plot-schedule", "config.toml", "--output", "a.jpg"], "must name a .png file"),
        (["list", "optimiser"], "did you mean 'optimizer'"),
    ],
)
def test_a_users_mistake_exits_2_with_one_message(arguments, text, capsys, tmp_path):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert text in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("runs/*")), "what failed before it began leaves no folder"


def test_words_that_a_shell_cut_off_get_the_remedy(capsys):
    with pytest.raises(SystemExit, match="2"):
        run("train", "config.toml", "--set", "train.evaluate_every=2", "epochs")
    error = capsys.readouterr().err
    assert "unrecognized arguments: epochs; a value with a space is quoted whole" in error


def test_commands_that_begin_together_get_a_folder_each(tmp_path):
    together = threading.Barrier(16)

    def take(_):
        with contextlib.ExitStack() as stack:
            together.wait()
            path = stack.enter_context(new_folder("config"))
            (path / "config.toml").touch()
            return path.name

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        names = list(pool.map(take, range(16)))
    assert sorted(names) == [f"config-{n:03d}" for n in range(1, 17)]
    with new_folder("config") as path:
        assert path.name == "config-017"
    assert not path.exists(), "nothing was written, and it is gone"


def test_a_terminal_without_the_letters_shows_what_it_can():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    terminal = Progress(console=rich.console.Console(file=file, force_terminal=True, width=80))
    with terminal.waiting("Ünï ☃ ..."):
        terminal.say("Ünï ☃")
    terminal.closing_table("Ünï", {"☃": "/Ünï"})
    terminal.columns("Ünï", ["name"], [["☃"]])
    file.flush()
    assert file.buffer.getvalue().count(b"?n?") >= 3


def test_every_fault_of_a_file_is_printed(tmp_path, capsys):
    (tmp_path / "config.toml").write_text(CONFIG.replace("learning_rate", "rate") + 'dtype = "x"\n')
    assert run("train", "config.toml") == 2
    error = capsys.readouterr().err
    assert "3 faults" in error
    assert all(p in error for p in ("optimizer.rate", "optimizer.learning_rate", "train.dtype"))


def test_help_is_quick():
    begin = time.monotonic()
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    # 0.05 s where nothing else runs; importing JAX alone would take longer than this.
    assert "train" in done.stdout
    assert time.monotonic() - begin < 5


def test_sigterm_saves_and_exits_130_and_the_run_goes_on(tmp_path):
    process = subprocess.Popen(
        [*COMMAND, "train", "config.toml", "--set", "train.epochs=5000", "--run-dir", "run"],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted at step" in rest
    assert "--resume run" in rest
    assert list((tmp_path / "run" / "checkpoints").rglob("*.json"))


def test_backup_keeps_archives_elsewhere_and_resume_takes_them_back(tmp_path, capsys):
    assert run("train", "config.toml", "--backup", "drive") == 0
    assert [p.name for p in (tmp_path / "drive").glob("*.tar")] == ["config-001-000001.tar"]
    (tmp_path / "runs").rename("lost")
    assert run("train", "config.toml", "--backup", "drive") == 2
    assert "has archives of an earlier 'config-001'" in capsys.readouterr().err
    assert not list((tmp_path / "runs").iterdir()), "what was refused leaves nothing"
    assert run("train", "--resume", "runs/config-001", "--backup", "drive") == 0
    out = capsys.readouterr().out
    assert "restored runs/config-001 from config-001-000001.tar" in out and "finished" in out
    assert run("train", "--resume", "runs/other", "--backup", "drive") == 2
    assert "no archive of 'other'; there are archives of: config-001" in capsys.readouterr().err
    assert run("train", "config.toml", "--run-dir", "run", "--backup", "run/drive") == 2
    assert run("train", "config.toml", "--backup", "config.toml") == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_full_disk_exits_1_and_keeps_what_was_saved(tmp_path):
    """A limit on file size stands in for a full disk: the write fails in the same place."""
    arguments = ["train", "config.toml", "--set", "train.epochs=200", "--run-dir", "run"]
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 120; exec "$@"', "sh", *COMMAND, *arguments],  # 120 x 512 bytes
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    kept = list((tmp_path / "run" / "checkpoints").glob("step-*.json"))
    assert kept
    assert not list((tmp_path / "run" / "checkpoints").glob(".*.tmp"))


def test_what_cannot_be_written_at_the_end_is_told_all_the_same(monkeypatch, capsys):
    def written(folder, *given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.report))

    monkeypatch.setattr("jaxopt_lab.run.commands.train.write_report", written)
    assert run("train", "config.toml", "--run-dir", "run") == 1
    out, error = capsys.readouterr()
    assert "finished: test accuracy" in out
    assert "report.html" in error and "what was saved before is kept" in error


def test_plot_schedule_draws_before_training(tmp_path, capsys):
    assert run("plot-schedule", "config.toml", "--set", "schedule.name=linear_decay") == 0
    assert (tmp_path / "config-schedule.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "runs").exists()
    assert run("plot-schedule", "config.toml", "--output", "none/a.png") == 2
    assert "is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_devices_that_are_asked_for_and_not_there(platform, tmp_path):
    command = [*COMMAND, "train", "config.toml", "--run-dir", "run"]
    given = ENVIRONMENT | {"JAX_PLATFORMS": platform}
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip(f"there is a {platform} here")
    assert done.returncode == 2
    assert f"JAX_PLATFORMS={platform} asks for devices that JAX does not find" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_dry_run_of_a_mesh_that_is_not_here(capsys):
    run_it = ("train", "config.toml", "--dry-run", "--set", "data.batch_size=256")
    assert run(*run_it, "--mesh", "data=256,shard=full") == 0
    out = capsys.readouterr().out
    assert "a device of 256, data = 256, model = 1" in out
    assert "TPU v5e" in out
    assert "yes, of 16 GB" in out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("data", "--mesh must be NAME=VALUE"),
        ("data=3", "data.batch_size = 64 is not a multiple of the 3 devices: make it 63"),
        ("date=4", "mesh.date: unknown, did you mean 'data'"),
        ("shard=full", "says no number of devices: give one"),
    ],
)
def test_a_mesh_that_is_wrong_is_named(given, message, capsys):
    assert run("train", "config.toml", "--dry-run", "--mesh", given) == 2
    assert message in capsys.readouterr().err
