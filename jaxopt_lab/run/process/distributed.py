"""One run on several hosts, through JAX's own runtime."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.run.process.exit_codes import WRONG_INPUT

# A run waits this long for its processes.
PATIENCE_SECONDS = 60
# JAX itself ends the others where one is silent for so long; companions say it sooner, and which.
HEARTBEAT_SECONDS = 60

# The environment variables by which JAX finds the processes of a run, besides a TPU's metadata.
ENVIRONMENT = (
    *("JAX_COORDINATOR_ADDRESS", "JAX_COORDINATOR_PORT", "JAX_COORDINATOR_BIND_ADDRESS"),
    *("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    *("OMPI_MCA_orte_hnp_uri", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    *("TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES", "TPU_WORKER_ID"),
)

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
            _require_free(coordinator)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        with _patience(_place(coordinator, process_id, process_count)):
            jax.distributed.initialize(
                coordinator,
                process_count,
                process_id,
                initialization_timeout=2 * PATIENCE_SECONDS,
                heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            )
    except (RuntimeError, ValueError, KeyError) as error:
        missing = isinstance(error, KeyError)  # of a cluster's environment, a part
        reason = f"{error.args[0]} is not set" if missing else str(error).splitlines()[0]
        place = _place(coordinator, process_id, process_count)
        raise InputError(f"--distributed: JAX could not begin {place}: {reason}") from None
    if threading.current_thread() is threading.main_thread():
        # JAX's preemption service has put a handler of its own under Python's, which swallows it.
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


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
    global _meetings
    answer = bool(np.any(multihost_utils.process_allgather(np.array(flag))))
    _meetings += 1
    return answer


def first_says(flag: bool) -> bool:
    """The flag of process 0, in every process; every one of them must ask."""
    return any_process(flag and is_first())


_meetings = 0


def meetings() -> int:
    """How often all processes of the run have met in `any_process`: how far this one is."""
    return _meetings


def from_first(make: Callable[[], str | os.PathLike[str]]) -> pathlib.Path:
    """A path that process 0 makes, in every process; every one of them must ask.

    Raises:
      InputError: in all of them, where process 0 cannot make it.
    """
    if jax.process_count() == 1:
        return pathlib.Path(make())
    text, failure = "", None
    if is_first():
        try:
            text = f"made {os.path.abspath(make())}"
        except InputError as error:
            text, failure = f"failed {error}", error
    what, _, text = _texts(text)[0].partition(" ")
    if what == "failed":
        raise failure or InputError(f"process 0: {text}")
    return pathlib.Path(text)


def require_equal(text: str) -> None:
    """Make sure that all processes are about to train the same; every one of them must ask.

    Args:
      text: what they train, in words.

    Raises:
      InputError: in all of them, with what differs, where they are not.
    """
    if jax.process_count() == 1:
        return
    texts = _texts(text)
    for i, other in enumerate(texts):
        if other != texts[0]:
            raise InputError(
                f"the processes do not train the same: process 0 has {texts[0]}, process {i} has "
                f"{other}; give all of them the same CONFIG, --set and --data-dir"
            )


def _texts(text: str) -> list[str]:
    """The text of each process, in order, up to its first 4,096 bytes."""
    sent = np.zeros(4096, np.uint8)
    own = text.encode()[: len(sent)]
    sent[: len(own)] = np.frombuffer(own, np.uint8)
    found = np.asarray(multihost_utils.process_allgather(sent), np.uint8)
    return [bytes(row).rstrip(b"\0").decode(errors="replace") for row in found]


def require_same(value: int, text: str) -> None:
    """Make sure that a number is the same in every process; every one of them must ask.

    Raises:
      InputError: in all of them, with the text, where it is not.
    """
    if jax.process_count() > 1 and len(set(_texts(str(value)))) > 1:
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


def _place(coordinator: str | None, process_id: int | None, process_count: int | None) -> str:
    """What this process is, as far as it was told or JAX will read it."""
    if coordinator is not None:
        return f"as process {process_id} of {process_count} with process 0 at {coordinator}"
    told = [f"{name}={os.environ[name]}" for name in ENVIRONMENT if name in os.environ]
    return (
        f"with {' '.join(told)}" if told else "without --coordinator, outside SLURM and a TPU pod"
    )


@contextlib.contextmanager
def _patience(place: str) -> Iterator[None]:
    """End this process with a message where the block takes too long.

    JAX has a limit of its own, but ends a process from C++ there, without a word of what to do.
    """

    def give_up():
        print(
            f"--distributed: the processes did not find each other within {PATIENCE_SECONDS} s, "
            f"this one {place}: start every one of them, each with its own --process-id and all "
            "with one --coordinator, whose port no firewall may close",
            file=sys.stderr,
            flush=True,
        )
        os._exit(WRONG_INPUT)

    timer = threading.Timer(PATIENCE_SECONDS, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _parsed(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--coordinator must be host:port, 10.0.0.1:1234 for one, got {address!r}")
    return host, int(port)


def _require_free(address: str) -> None:
    """Make sure that process 0 can listen: JAX would end it without a word."""
    _, port = _parsed(address)
    try:
        socket.create_server(("", port)).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--coordinator {address}: process 0 cannot listen on port {port} "
            f"({getattr(error, 'strerror', None) or error}): give another port"
        ) from None


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
