"""The chapter guide: its cells run, warnings as errors, and what it points at is there."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
COURSE = (ROOT / "docs" / "course.md").read_text()
CELLS = re.findall(r"```python\n(.*?)```", COURSE, re.DOTALL)
RUN_ALL = """
import json, sys, traceback
for number, cell in enumerate(json.loads(sys.argv[1]), start=1):
    try:
        exec(cell, {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        sys.exit(f"cell {number}:\\n{cell}")
"""


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    import json

    (tmp_path / "configs").symlink_to(ROOT / "configs")
    command = [sys.executable, "-W", "error", "-c", RUN_ALL, json.dumps(CELLS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def test_what_the_chapters_show_is_there():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", COURSE)
    configs = re.findall(r"configs/\w+\.toml", COURSE)
    assert len(pictures) > 10 and len(configs) > 10 and len(CELLS) > 10
    for picture in pictures:
        assert (ROOT / "docs" / picture).stat().st_size < 200_000, picture
    for config in configs:
        assert (ROOT / config).exists(), config
