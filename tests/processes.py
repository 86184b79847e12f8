"""Processes of their own, for what must be set up before JAX starts."""

import os
import socket
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


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


AS_A_USER = "import sys; from jaxopt_lab.cli import main; sys.exit(main(sys.argv[1:]))"


def processes_of_a_run(*arguments, count, devices=4, before="", extra=(), **variables):
    """Starts the processes of one run, of so many devices in all.

    Args:
      arguments: of the command, from `train` on.
      count: of processes.
      devices: of all of them.
      before: statements that each of them runs first.
      extra: further arguments of each process, where they differ.
      variables: of the environment.
    """
    coordinator = f"127.0.0.1:{free_port()}"
    started = []
    for i in range(count):
        place = ["--coordinator", coordinator, "--process-id", i, "--process-count", count]
        options = ["--distributed", *place, "--devices", devices // count]
        mine = extra[i] if extra else ()
        command = [sys.executable, "-c", before + AS_A_USER, *arguments, *options, *mine]
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment() | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
    return started


def outputs(processes, seconds=240):
    """What processes have printed, when all have ended."""
    try:
        return [process.communicate(timeout=seconds)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
