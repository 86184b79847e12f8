"""What a command sets up in its process; some of it before JAX starts."""

import os
import pathlib

from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError

MOST_CPU_DEVICES = 1024
"""That are made: XLA ends the process where it is asked for more than it can make."""


def use_cpu_cores(devices: int | None) -> None:
    """Make each core a device of its own, with one thread; before JAX starts.

    Runs that do not wait for each other use the cores better than the threads of one run do.

    Args:
      devices: how many, >= 1; None for one for each core that the process may use. XLA_FLAGS that
        say it already stand.

    Raises:
      InputError: for less than one.
    """
    if devices is not None and devices < 1:
        raise InputError(f"--devices must be >= 1, got {devices}")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        count = min(devices or usable_cores(), MOST_CPU_DEVICES)
        flags += f" --xla_force_host_platform_device_count={count}"
        flags += " --xla_cpu_multi_thread_eigen=false"
        os.environ["XLA_FLAGS"] = flags.strip()


def why_no_devices() -> str | None:
    """What to say where JAX lacks the devices that JAX_PLATFORMS names; None where it has them."""
    import jax

    asked = os.environ.get("JAX_PLATFORMS", "")
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the second, of CUDA without its plugin
        reason = f" ({error})" if str(error) else ""
        return (
            f"JAX_PLATFORMS={asked} asks for devices that JAX does not find here{reason}: install "
            "the JAX that goes with them, or unset it for those that are there"
        )
    return None


def compilation_cache() -> pathlib.Path:
    """Where compiled programs are kept, unless the user has said another place."""
    home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(home) / "jaxopt_lab"


def use_compilation_cache() -> None:
    """Keep compiled programs between runs, unless the user has said where, or not to."""
    import jax  # not above: `use_cpu_cores` comes before it

    chosen = getattr(jax.config, "jax_compilation_cache_dir", None)
    if chosen is None and "JAX_ENABLE_COMPILATION_CACHE" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(compilation_cache()))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        # JAX keeps what took a second: of a small network that is nothing.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
