import pytest


@pytest.fixture(autouse=True)
def _as_users_run_it(fully_optimized):
    """Some of the recorded runs magnify a rounding."""
