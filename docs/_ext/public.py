"""What is public: the names that a module of the package exports."""

import importlib
import inspect
import pkgutil
from types import ModuleType


def symbols(module: str) -> dict[str, object]:
    """The public names of a module, by their whole paths, in the order in which it has them.

    Those of `__all__`; of a module without one what it, or a module in it, defines.
    """
    found = importlib.import_module(module)
    if hasattr(found, "__all__"):
        return {f"{module}.{name}": getattr(found, name) for name in found.__all__}
    modules = [found, *(importlib.import_module(f"{module}.{m}") for m in _within(found))]
    return {f"{m.__name__}.{name}": value for m in modules for name, value in _defined(m)}


def _within(module: ModuleType) -> list[str]:
    return [m.name for m in pkgutil.iter_modules(getattr(module, "__path__", []))]


def _defined(module: ModuleType) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in vars(module).items()
        if name[0] != "_"
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module.__name__
    ]
