"""Processes of their own, for what must be set up before JAX starts."""

import os
import subprocess
import sys


def environment(devices=None):
    """That of this process with its import paths, and so many CPU devices.

    XLA's flags stay but for the number of devices, which a command that ran here may have set.
    """
    flags = [flag for flag in os.environ["XLA_FLAGS"].split() if "device" not in flag]
    if devices:
        flags.append(f"--xla_force_host_platform_device_count={devices}")
    paths = os.pathsep.join(path for path in sys.path if path)
    given = {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu", "PYTHONPATH": paths}
    return os.environ | given


def run_file(path, *arguments, devices):
    """Runs a test's own file with so many devices, and fails with what it printed."""
    command = [sys.executable, str(path), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(devices), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
