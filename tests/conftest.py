"""Warnings are errors (pyproject), and so is an implicit rank promotion.

Most of the suite's time is compilation, so it is made cheap here:

- A program that was compiled once is read from a folder afterwards: in the next test, in the
  processes that tests start, and in the next run of this checkout.
- XLA's passes, which decide what is computed in which order, all run; but a loop's code comes from
  XLA's older emitter, which takes a third of the time, in one piece, and LLVM's costlier passes are
  left out. JAX 0.12 has no older emitter.
- What was compiled for one directory of tests is let go before the next, because a worker would
  otherwise grow by gigabytes.
- Python looks for garbage less often, and a program does not hold the lines that it came from.

`XLA_FLAGS=--xla_cpu_use_fusion_emitters=true pytest` runs everything with the emitter of users.
"""

import gc
import os
import pathlib
import shutil
import tempfile

import jax
import pytest
import tiers
from filelock import lock_descriptor

flags = os.environ.get("XLA_FLAGS", "")
# XLA ends the process at a flag that it does not know.
if jax.__version_info__ < (0, 11) and "xla_cpu_use_fusion_emitters" not in flags:
    flags += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["XLA_FLAGS"] = flags.strip()

jax.config.update("jax_numpy_rank_promotion", "raise")
for _name, _value in {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_disable_most_optimizations": True,
    "jax_traceback_in_locations_limit": 0,
}.items():
    jax.config.update(_name, _value)
    os.environ[_name.upper()] = str(_value)

gc.set_threshold(50_000, 20, 100)

CACHE_LIMIT = 500e6  # bytes a worker; a run of the whole suite leaves about a fifth of it


class Cache:
    """A worker's folder of compiled programs, kept from run to run: JAX's keys hold its version.

    JAX does not write an entry in one go. So a folder is used by one process at a time (another run
    beside it gets a temporary one), and what a killed run left behind is thrown away: `dirty` is in
    the folder from a run's start to its end.
    """

    def __init__(self, path):
        self.lock, self.temporary = None, None
        path.mkdir(parents=True, exist_ok=True)
        self.lock = (path / "lock").open("w")
        if not lock_descriptor(self.lock.fileno(), blocking=False):
            self.temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            path = pathlib.Path(self.temporary.name)
        self.programs, self.dirty = path / "programs", path / "dirty"
        size = sum(file.stat().st_size for file in self.programs.glob("*"))
        if self.dirty.exists() or size > CACHE_LIMIT:
            shutil.rmtree(self.programs, ignore_errors=True)
        self.dirty.touch()

    def close(self):
        self.dirty.unlink(missing_ok=True)
        if self.lock:
            self.lock.close()
        if self.temporary:
            self.temporary.cleanup()


def pytest_configure(config):
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None and config.getoption("numprocesses", None):
        return  # the workers run the tests
    cache = Cache(config.rootpath / ".pytest_cache" / "xla" / (worker or "alone"))
    config.add_cleanup(cache.close)
    jax.config.update("jax_compilation_cache_dir", str(cache.programs))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache.programs)


def pytest_collection_modifyitems(items):
    tiers.mark(items)


def pytest_runtest_teardown(item, nextitem):
    if nextitem is not None and nextitem.path.parent != item.path.parent:
        jax.clear_caches()


@pytest.fixture
def fully_optimized():
    """LLVM's passes too, where a last digit that they change is magnified or compared."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture
def x64():
    """64-bit types for one test, to compare beyond float32's precision."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)
