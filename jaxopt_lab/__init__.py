"""The optimization of deep networks in JAX, from ridge regression to K-FAC.

Compose the transformations of `jaxopt_lab.optimizers` and its neighbors with `optax.chain`, or
train from one TOML file with `train(load_config(path))`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxopt_lab.cli import main
    from jaxopt_lab.config.load import load_config
    from jaxopt_lab.config.own import extended
    from jaxopt_lab.config.schema import Config
    from jaxopt_lab.config.sweep import load_sweep
    from jaxopt_lab.core.declare import declare
    from jaxopt_lab.engine import init_sharded
    from jaxopt_lab.run.commands.backup import backup, restore
    from jaxopt_lab.run.commands.compare import compare
    from jaxopt_lab.run.commands.diagnose import diagnose
    from jaxopt_lab.run.commands.export import export
    from jaxopt_lab.run.commands.prolong import prolong
    from jaxopt_lab.run.commands.sweep import sweep
    from jaxopt_lab.run.commands.train import train
    from jaxopt_lab.run.commands.verify import verify
    from jaxopt_lab.run.records.loading import load_run
    from jaxopt_lab.run.records.result import Result
    from jaxopt_lab.run.records.run import Run
    from jaxopt_lab.run.records.sweep_result import SweepResult

__version__ = "0.1.0"
__all__ = [
    "Config",
    "Result",
    "Run",
    "SweepResult",
    "backup",
    "compare",
    "declare",
    "diagnose",
    "export",
    "extended",
    "init_sharded",
    "load_config",
    "load_run",
    "load_sweep",
    "main",
    "prolong",
    "restore",
    "sweep",
    "train",
    "verify",
]

# Found when first asked for: `import jaxopt_lab` does no work and needs no extra.
_HOMES = {
    "Config": "jaxopt_lab.config.schema",
    "declare": "jaxopt_lab.core.declare",
    "extended": "jaxopt_lab.config.own",
    "load_config": "jaxopt_lab.config.load",
    "main": "jaxopt_lab.cli",
    "train": "jaxopt_lab.run.commands.train",
    "Result": "jaxopt_lab.run.records.result",
    "load_run": "jaxopt_lab.run.records.loading",
    "Run": "jaxopt_lab.run.records.run",
    "backup": "jaxopt_lab.run.commands.backup",
    "compare": "jaxopt_lab.run.commands.compare",
    "prolong": "jaxopt_lab.run.commands.prolong",
    "restore": "jaxopt_lab.run.commands.backup",
    "diagnose": "jaxopt_lab.run.commands.diagnose",
    "export": "jaxopt_lab.run.commands.export",
    "init_sharded": "jaxopt_lab.engine",
    "load_sweep": "jaxopt_lab.config.sweep",
    "sweep": "jaxopt_lab.run.commands.sweep",
    "verify": "jaxopt_lab.run.commands.verify",
    "SweepResult": "jaxopt_lab.run.records.sweep_result",
}
_FAMILIES = frozenset(
    (
        "augment",
        "compat",
        "control",
        "data",
        "diagnostics",
        "engine",
        "linalg",
        "linear",
        "losses",
        "nn",
        "optimizers",
        "plots",
        "problems",
        "schedules",
        "second_order",
        "sweeps",
        "testing",
    )
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _FAMILIES:
        return importlib.import_module(f"jaxopt_lab.{name}")
    raise AttributeError(f"module 'jaxopt_lab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_FAMILIES, "__version__"])
