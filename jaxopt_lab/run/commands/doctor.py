"""`jaxopt-lab doctor`: what this machine has for training, and what to do about what is missing."""

import glob
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax

import jaxopt_lab
from jaxopt_lab.core.cores import usable_cores
from jaxopt_lab.core.errors import InputError, told
from jaxopt_lab.core.memory import machine_memory
from jaxopt_lab.data import DATASETS
from jaxopt_lab.data.locate import ENVIRONMENT_VARIABLE
from jaxopt_lab.run.process.cores import compilation_cache, why_no_devices
from jaxopt_lab.run.records.overview import size_in_words
from jaxopt_lab.run.terminal.progress import Progress

FINE, NOTE, PROBLEM = "fine", "note", "problem"
LITTLE = 1 << 30
"""Bytes of a disk or of memory below which it is a problem."""

PUBLISHED = ("mnist", "fashion_mnist", "cifar10", "cifar100")
# Of the extras, what each brings that is imported.
EXTRAS: dict[str, tuple[str, ...]] = {
    "lab": ("rich", "matplotlib", "jinja2", "sklearn"),
    "images": ("PIL",),
    "table": ("pyarrow",),
    "grain": ("grain",),
    "huggingface": ("datasets",),
    "orbax": ("orbax",),
    "export": ("flatbuffers",),
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
}
# What a machine with an accelerator has, and the JAX that goes with it.
_ACCELERATORS = {
    "a GPU of NVIDIA": (("/dev/nvidia[0-9]*",), 'pip install "jax[cuda12]"'),
    "a GPU of AMD": (("/dev/kfd",), "install the JAX for ROCm"),
    "a TPU": (("/dev/accel[0-9]*", "/dev/vfio/[0-9]*"), 'pip install "jax[tpu]"'),
}


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
      what: it is.
      state: "fine", "note" for what may be as it is to be, or "problem".
      found: in words.
      remedy: what to do; "" for nothing.
    """

    what: str
    state: str
    found: str
    remedy: str = ""


def doctor(data_dir: str | os.PathLike[str] | None = None) -> list[Finding]:
    """Look at this machine; nothing is changed, but a file that is written and removed.

    Args:
      data_dir: where published data sets lie; None for the environment variable JAXOPT_LAB_DATA.

    Returns:
      What was found.
    """
    found: list[Finding] = []
    for look in (_versions, _devices, _precision, _memory, _disks, _extras):
        found += look()
    return [*found, *_data_sets(data_dir)]


def show_findings(found: list[Finding], terminal: Progress) -> None:
    """Print a row each, and then what to do."""
    rows = [(each.what, each.state, each.found) for each in found]
    terminal.columns(f"jaxopt_lab {jaxopt_lab.__version__}", ("what", "state", "found"), rows)
    for each in found:
        if each.remedy:
            terminal.say(f"{each.what}: {each.remedy}")
    problems = sum(each.state == PROBLEM for each in found)
    terminal.say("no problems" if not problems else f"problems: {problems}")


def _versions() -> Iterator[Finding]:
    names = ("jax", "jaxlib", "flax", "optax", "numpy")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    yield Finding("Python", FINE, f"{platform.python_version()}, {platform.platform(terse=True)}")
    yield Finding("libraries", FINE, versions)


def _devices() -> Iterator[Finding]:
    if why := why_no_devices():
        yield Finding("devices", PROBLEM, "none", why)
        return
    devices, backend = jax.devices(), jax.default_backend()
    kinds = sorted({device.device_kind for device in devices})
    named = "" if kinds == [backend] else f" ({', '.join(kinds)})"
    words = f"{len(devices)} {backend}{named}, {usable_cores()} CPU cores"
    yield Finding("devices", FINE, words)
    if backend != "cpu" or os.environ.get("JAX_PLATFORMS"):
        return
    for name, (places, remedy) in _ACCELERATORS.items():
        if any(glob.glob(place) for place in places):
            yield Finding("accelerator", PROBLEM, f"{name} is here, and JAX uses the CPU", remedy)


def _precision() -> Iterator[Finding]:
    wide = "on" if jax.config.jax_enable_x64 else "off"  # pyright: ignore[reportAttributeAccessIssue]
    matmul = jax.config.jax_default_matmul_precision or "default"  # pyright: ignore[reportAttributeAccessIssue]
    words = f"x64 {wide}, matrix products {matmul}"
    fast = jax.default_backend() != "cpu" and matmul == "default"
    remedy = "float32 products take fewer bits here; JAX_DEFAULT_MATMUL_PRECISION=highest for all"
    yield Finding("precision", NOTE if fast else FINE, words, remedy if fast else "")


def _memory() -> Iterator[Finding]:
    size = machine_memory()
    remedy = "smaller batches, train.microbatches and train.remat take less"
    yield _sized("memory", size, size_in_words(size), remedy)


def _disks() -> Iterator[Finding]:
    cache = getattr(jax.config, "jax_compilation_cache_dir", None)
    for what, place in {
        "runs": os.getcwd(),
        "temporary files": tempfile.gettempdir(),
        "compiled programs": cache or str(compilation_cache()),
    }.items():
        there = pathlib.Path(place)
        while not there.exists():
            there = there.parent
        free = shutil.disk_usage(there).free
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            remedy = f"choose a folder that can be written: {_option(what)}"
            yield Finding(what, PROBLEM, f"{place}: {told(error)}", remedy)
            continue
        yield _sized(what, free, f"{size_in_words(free)} free, {place}", f"make room: {place}")


def _option(what: str) -> str:
    return {"runs": "--run-dir", "temporary files": "TMPDIR"}.get(what, "JAX_COMPILATION_CACHE_DIR")


def _extras() -> Iterator[Finding]:
    missing = [
        name
        for name, modules in EXTRAS.items()
        if any(importlib.util.find_spec(module) is None for module in modules)
    ]
    there = ", ".join(name for name in EXTRAS if name not in missing) or "none"
    lacks = f"; not here: {', '.join(missing)}" if missing else ""
    remedy = 'pip install "jaxopt_lab[NAME]" where one is wanted' if missing else ""
    yield Finding("extras", NOTE if missing else FINE, f"{there}{lacks}", remedy)


def _data_sets(data_dir: str | os.PathLike[str] | None) -> Iterator[Finding]:
    if data_dir is None and not os.environ.get(ENVIRONMENT_VARIABLE):
        words = f"no --data-dir, and {ENVIRONMENT_VARIABLE} is not set"
        remedy = "digits, breast_cancer and diabetes come along; the others are read from there"
        yield Finding("published data", NOTE, words, remedy)
        return
    found = [name for name in PUBLISHED if _is_there(DATASETS[name], data_dir)]
    words = f"{', '.join(found) or 'none'} in {data_dir or os.environ[ENVIRONMENT_VARIABLE]}"
    yield Finding("published data", FINE if found else NOTE, words)


def _is_there(load: Callable[..., Any], data_dir: Any) -> bool:
    try:
        load(data_dir=data_dir)
    except InputError:
        return False
    return True


def _sized(what: str, size: int, words: str, remedy: str) -> Finding:
    little = size < LITTLE
    return Finding(what, PROBLEM if little else FINE, words, remedy if little else "")
