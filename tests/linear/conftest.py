import pytest


@pytest.fixture(autouse=True)
def _as_users_run_it(fully_optimized):
    """Solutions are compared to within a few roundings."""
