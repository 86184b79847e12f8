"""The doctor says what is there, and what to do about what is not."""

import json

from jaxopt_lab import cli
from jaxopt_lab.run.commands import doctor


def by_name(found):
    return {each.what: each for each in found}


def test_a_sound_machine_has_no_problems(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "no problems" in out and "digits, breast_cancer and diabetes come along" in out
    assert cli.main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {each["state"] for each in found} <= {"fine", "note"}


def test_an_accelerator_that_jax_does_not_use_is_a_problem(monkeypatch, tmp_path):
    (tmp_path / "nvidia0").touch()
    places = {"a GPU of NVIDIA": ((str(tmp_path / "nvidia*"),), 'pip install "jax[cuda12]"')}
    monkeypatch.setattr(doctor, "_ACCELERATORS", places)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    found = by_name(doctor.doctor())["accelerator"]
    assert found.state == "problem" and found.remedy == 'pip install "jax[cuda12]"'
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")  # it was asked for
    assert "accelerator" not in by_name(doctor.doctor())


def test_a_disk_that_refuses_and_little_room_are_problems(monkeypatch, capsys):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(doctor, "LITTLE", 2**60)
    found = by_name(doctor.doctor())
    assert found["memory"].state == found["runs"].state == "problem"
    assert "TMPDIR" in found["temporary files"].remedy
    assert cli.main(["doctor"]) == 1
    assert "problems: 4" in capsys.readouterr().out


def test_what_extras_are_not_here_and_which_data_is(monkeypatch, tmp_path):
    monkeypatch.setitem(doctor.EXTRAS, "table", ("no_such_module",))
    found = by_name(doctor.doctor(tmp_path))
    assert "not here: " in found["extras"].found and "table" in found["extras"].found
    assert found["published data"].found.startswith("none in ")
