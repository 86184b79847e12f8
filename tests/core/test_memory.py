"""How much memory there is, and who limits it."""

import pathlib

import pytest

from jaxopt_lab.core import memory
from jaxopt_lab.core.errors import InputError


@pytest.fixture(name="groups")
def _groups(tmp_path, monkeypatch):
    """A root of control groups, and the file that says which this process is in."""
    own, read = tmp_path / "cgroup", pathlib.Path.read_text
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)

    def from_here(path, *given):
        return read(own if str(path) == "/proc/self/cgroup" else path, *given)

    monkeypatch.setattr(pathlib.Path, "read_text", from_here)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/", "memory.max"),
        ("0::/a/b", "a/memory.max"),
        ("0::/a/b", "a/b/memory.max"),
        ("7:cpu,memory:/docker/1", "memory/docker/1/memory.limit_in_bytes"),
        ("7:memory:/docker/1", "memory/memory.limit_in_bytes"),
    ],
)
def test_the_least_limit_of_a_control_group_counts(groups, line, file):
    (groups / "cgroup").write_text(f"{line}\n")
    whole = memory.machine_memory()
    assert whole > 12345
    (groups / file).parent.mkdir(parents=True, exist_ok=True)
    (groups / file).write_text("12345\n")
    assert memory.machine_memory() == 12345 >= memory.free_memory()
    (groups / file).write_text("max\n")
    assert memory.machine_memory() == whole


def test_a_machine_without_control_groups_has_all_of_its_memory(groups):
    assert memory.machine_memory() >= memory.free_memory() > 0


def test_what_is_too_large_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 2**30)
    memory.require_memory("x", 2**29, 0.5, "take less")
    with pytest.raises(InputError, match=r"x takes 0.8 GiB, more than 50% .*: take less"):
        memory.require_memory("x", 3 * 2**28, 0.5, "take less")
