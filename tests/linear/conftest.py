import jax
import pytest


@pytest.fixture
def x64():
    """64-bit types for one test, to compare beyond float32's precision."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(autouse=True)
def _as_users_run_it(fully_optimized):
    """Solutions are compared to within a few roundings."""
