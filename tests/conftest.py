"""Warnings are errors (pyproject), and so is an implicit rank promotion.

Most of the suite's time is compilation. So a program that was compiled in one test is read from a
folder in the next, and in the processes that tests start; and LLVM's passes are left out, while
those of XLA, which decide what is computed in which order, all run.
"""

import os
import tempfile

import jax
import pytest

# One folder a worker: JAX does not write an entry in one go.
_cache = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)

jax.config.update("jax_numpy_rank_promotion", "raise")
for _name, _value in {
    "jax_compilation_cache_dir": _cache.name,
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_disable_most_optimizations": True,
}.items():
    jax.config.update(_name, _value)
    os.environ[_name.upper()] = str(_value)


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
