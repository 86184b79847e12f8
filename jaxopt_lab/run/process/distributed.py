"""One run on several hosts, through JAX's own runtime."""

import contextlib
import os
import pathlib
import socket
import time
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxopt_lab.core.errors import InputError

# A run waits this long for its processes, and for one that has gone silent.
PATIENCE_SECONDS = 60
HEARTBEAT_SECONDS = 30

# Between two looks of the processes of one run at each other: whether one is to be interrupted.
STEPS_PER_CHUNK = 32


def join(coordinator: str | None, process_id: int | None, process_count: int | None) -> None:
    """Make this process one of a run's; before JAX is used.

    Args:
      coordinator: "host:port" of process 0.
      process_id: of this process, 0 to `process_count` - 1.
      process_count: how many there are. All three None to take them from the environment, of SLURM,
        of Open MPI or of a TPU pod, as `jax.distributed.initialize` does.

    Raises:
      InputError: where only some of the three are given, or the others cannot be reached.
    """
    given = [value is not None for value in (coordinator, process_id, process_count)]
    if any(given) and not all(given):
        raise InputError(
            "--distributed: give --coordinator, --process-id and --process-count together, or none "
            "of them to take all from SLURM's or the TPU's environment"
        )
    if all(given):
        assert coordinator is not None and process_id is not None and process_count is not None
        if not 0 <= process_id < process_count:
            text = f"got {process_id} of {process_count}"
            raise InputError(f"--process-id must be in [0, --process-count), {text}")
        if process_id:
            _reach(coordinator)
        else:
            _parsed(coordinator)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator,
            process_count,
            process_id,
            initialization_timeout=PATIENCE_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--distributed: the processes did not find each other within {PATIENCE_SECONDS} s: "
            f"{reason}; start every one of them, each with its own --process-id"
        ) from None


def is_first() -> bool:
    """Whether this is the process that writes and draws."""
    return jax.process_index() == 0


def steps_per_chunk() -> int | None:
    """The length of a chunk that all processes of a run agree on; None where there is one."""
    return STEPS_PER_CHUNK if jax.process_count() > 1 else None


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process of the run; every one of them must ask."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def first_says(flag: bool) -> bool:
    """The flag of process 0, in every process; every one of them must ask."""
    return any_process(flag and is_first())


def shared_path(path: str | os.PathLike[str] | None) -> pathlib.Path:
    """The path that process 0 gives, in every process; every one of them must ask."""
    own = os.path.abspath(path).encode() if path is not None else b""
    sent = np.zeros(4096, np.uint8)
    sent[: len(own)] = np.frombuffer(own, np.uint8)
    found = multihost_utils.broadcast_one_to_all(sent)
    return pathlib.Path(bytes(np.asarray(found, np.uint8)).rstrip(b"\0").decode())


def require_same(value: int, text: str) -> None:
    """Make sure that a number is the same in every process; every one of them must ask.

    Raises:
      InputError: in all of them, with the text, where it is not.
    """
    if jax.process_count() == 1:
        return
    values = np.ravel(multihost_utils.process_allgather(np.array(value)))
    if (values != values[0]).any():
        raise InputError(
            f"{text}: --run-dir must be on a file system that all processes of the run see"
        )


def require_seen(path: pathlib.Path) -> None:
    """Make sure that every process sees what process 0 has made; every one of them must ask.

    Raises:
      InputError: in all of them where one does not.
    """
    any_process(False)  # wait for process 0
    require_same(path.exists(), f"not every process sees {path}")


@contextlib.contextmanager
def leaves_with_the_others(run_dir: pathlib.Path) -> Iterator[None]:
    """End this process with a message where another one of the run has ended."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0]
        print(
            f"another process of the run has ended or does not answer ({reason}); what was saved "
            f"is kept: go on with --resume {run_dir}",
            flush=True,
        )
        os._exit(1)  # JAX's own farewell would wait for the others


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"--coordinator must be host:port, 10.0.0.1:1234 for one, got {address!r}")
    return host, int(port)


def _reach(address: str) -> None:
    """Wait until process 0 listens."""
    host, port = _parsed(address)
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise InputError(
                    f"--coordinator {address} did not answer within {PATIENCE_SECONDS} s "
                    f"({error.strerror or error}): start process 0 there, or mend the address"
                ) from None
            time.sleep(0.2)
