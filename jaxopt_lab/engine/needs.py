"""What a training step surely takes of a device's memory, before anything is compiled.

The estimate is a lower bound, so that nothing is refused that would run: of the values that a step
computes it counts those alone that a compiler has to write down. These are what products,
convolutions, sorts, decompositions and loops read and give, each from where it is computed to where
it is read last. What lies between, such as activations that nothing reads twice, is fused.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.memory import free_memory, machine_memory
from jaxopt_lab.core.programs import programs_in
from jaxopt_lab.core.tree import flatten_with_names, size_bytes
from jaxopt_lab.core.types import Batch
from jaxopt_lab.engine.devices import own_memory
from jaxopt_lab.engine.state import TrainState

# The order in which a program frees gradients is the compiler's, and may be better than the
# program's own: what is at most so much larger than the memory is left for it to say.
_SLACK = 1.5

AUGMENT, ADVERSARY, OPTIMIZER = "augment", "adversary", "optimizer"
"""Parts of a step, as its program names them and a configuration its tables."""

_TABLES = {AUGMENT: "[[augment]]", ADVERSARY: "[adversary]", OPTIMIZER: "[optimizer]"}

_WRITTEN = {
    *("dot_general", "conv_general_dilated", "fft", "sort", "top_k", "reduce_window"),
    *("eigh", "eig", "svd", "qr", "householder_product", "lu", "cholesky", "triangular_solve"),
    *("while", "scan", "cond"),
}
_VIEWS = {"reshape", "transpose", "squeeze", "expand_dims", "convert_element_type", "copy", "rev"}
_LOOPS = {"while", "scan", "cond"}


class Largest(NamedTuple):
    """The largest array of all.

    Attributes:
      size: in bytes.
      shape, dtype: of it.
      where: the parameter's path, or the layer or the part of the step that computes it.
    """

    size: int = 0
    shape: tuple[int, ...] = ()
    dtype: str = ""
    where: str = ""

    def __str__(self) -> str:
        shape = " x ".join(map(str, self.shape)) or "one number"
        return f"{shape} {self.dtype}, {in_bytes(self.size)}, of {self.where or 'the step'}"


class Needs(NamedTuple):
    """What one run needs of a device, at least, in bytes.

    Attributes:
      state: the parameters, the optimizer's state and all else that is carried.
      step: at its fullest, what a step writes down beside the state.
      largest: of the arrays of both.
    """

    state: int
    step: int
    largest: Largest


def needs_of(step: Callable[..., Any], state: TrainState, batch: Batch) -> Needs:
    """What a run needs.

    Args:
      step: from `make_step`.
      state, batch: arrays or their shapes.
    """
    return needs_of_program(traced(step, state, batch), state)


def traced(step: Callable[..., Any], *given: Any) -> ClosedJaxpr:
    """The program of a step, for arrays or their shapes.

    Args:
      step: from `make_step`.
      *given: that it is called with: a state, a batch, and perhaps the step's number.

    Raises:
      InputError: where a size in it is beyond int32.
    """
    try:
        return jax.make_jaxpr(step)(*given)
    except OverflowError as error:
        raise InputError(
            f"a size in the configuration makes one that is beyond what JAX counts ({error}): "
            "lower it"
        ) from error


def needs_of_program(program: ClosedJaxpr, state: TrainState) -> Needs:
    """The same of a step that has been traced."""
    found = _Program(program.jaxpr)
    return Needs(size_bytes(state), found.peak, _largest([_largest_of(state), found.largest]))


def require_state(state: TrainState, device: Any, *, devices: int = 1) -> None:
    """Make sure that the state of a run fits, before it is made.

    Args:
      state: its shapes.
      device: of JAX; those of a CPU share the machine's memory.
      devices: how many may split it.

    Raises:
      InputError: where it does not fit, naming the number, the largest array and the remedy.
    """
    require_fit(Needs(size_bytes(state), 0, _largest_of(state)), state, device, devices=devices)


def require_fit(
    needs: Needs,
    state: TrainState,
    device: Any,
    *,
    data: int = 0,
    runs: int = 1,
    at_once: int = 1,
    devices: int = 1,
) -> None:
    """Make sure that runs fit a device, as far as can be told before they are compiled.

    Args:
      needs: of one run.
      state, device, devices: as of `require_state`.
      data: bytes of what every run reads.
      runs: whose state the device holds.
      at_once: how many of them take a step side by side.

    Raises:
      InputError: where they surely do not, naming the number, the largest array and the remedy.
    """
    memory = device_memory(device)
    held = runs * needs.state // devices + data
    size = held + at_once * needs.step // devices
    if held > memory or size > _SLACK * memory:
        parts = {
            "parameters": runs * size_bytes(state.params) // devices,
            "optimizer state": runs * size_bytes(state.opt_state) // devices,
            "within a step": at_once * needs.step // devices,
            "data": data,
        }
        there = f"there is {in_bytes(memory)}"
        raise InputError(_too_large(size, there, parts, needs.largest, runs))


def require_compiled(compiled: Any, needs: Needs, device: Any) -> None:
    """The same of a compiled step, which knows its own number of bytes.

    Its state and its data are on the device already.

    Args:
      compiled: what `jax.jit(...).lower(...).compile()` gives.
      needs: as estimated before.
      device: of JAX.

    Raises:
      InputError: where it needs more than is free.
    """
    found = compiled.memory_analysis()
    if found is None:  # a backend that does not say
        return
    size = found.temp_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    if size > (free := _free(device)):
        parts = {"within a step": size}
        raise InputError(_too_large(size, f"{in_bytes(free)} is free", parts, needs.largest))


def device_memory(device: Any) -> int:
    """Bytes of memory of a device of JAX; that of the machine where it is a CPU."""
    own = own_memory(device)
    return machine_memory() if own is None else own.size


def in_bytes(count: float) -> str:
    """A number of bytes in words, "1.5 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.4g} GiB" if count < 1e6 else f"{count:.3g} GiB"


def _free(device: Any) -> int:
    own = own_memory(device)
    return free_memory() if own is None else own.free


def _too_large(
    size: int, there: str, parts: dict[str, int], largest: Largest, runs: int = 1
) -> str:
    listed = ", ".join(f"{in_bytes(count)} {name}" for name, count in parts.items() if count)
    of_runs = f" for {runs:,} runs at once" if runs > 1 else ""
    return (
        f"memory: training needs at least {in_bytes(size)}{of_runs} ({listed}), {there}. "
        f"The largest array is {largest}: {_remedy(largest, parts, runs)}"
    )


def _remedy(largest: Largest, parts: dict[str, int], runs: int) -> str:
    """What to make smaller: where the largest array is, or the most bytes are."""
    for part, table in _TABLES.items():
        if part in largest.where.split("/"):
            return f"take less in {table}"
    most = max(parts, key=lambda name: parts[name])
    if most == "data":
        return "lower data.train_size"
    if runs > 1 and most != "within a step":
        return "take fewer runs or seeds, --devices 1, or lower the sizes in [model]"
    if most == "within a step":
        return "lower data.batch_size, raise train.microbatches, or lower the sizes in [model]"
    return "lower the sizes in [model]"


def _largest_of(state: TrainState) -> Largest:
    """The largest parameter, or what of the optimizer's state is larger."""
    named = flatten_with_names({"": state.params, OPTIMIZER: state.opt_state})
    found = [
        Largest(_bytes(leaf), leaf.shape, leaf.dtype.name, name.strip("/"))
        for name, leaf in named.items()
    ]
    return _largest(found)


def _largest(arrays: Iterable[Largest]) -> Largest:
    """The first of the largest."""
    return max(arrays, key=lambda array: array.size, default=Largest())


def _bytes(array: Any) -> int:
    """Of an array or of its shape, in whole numbers of Python: it may be beyond int64."""
    return math.prod(array.shape) * getattr(array.dtype, "itemsize", 8)


class _Value:
    """An array of a program: its size, and the first and the last equation that need it."""

    def __init__(self, aval: Any, where: str = ""):
        self.size = _bytes(aval) if hasattr(aval, "dtype") else 0
        self.aval, self.where = aval, where
        self.made = self.read = -1
        self.held = False


class _Program:
    """The values of a program that are written down.

    Attributes:
      peak: bytes of those that are there at once.
      largest: of them.
    """

    def __init__(self, jaxpr: Jaxpr, within: str = ""):
        self._values: list[_Value] = []
        self._inner: list[int] = []  # what each equation needs within itself
        self.largest = Largest()
        given = {var: _Value(var.aval) for var in (*jaxpr.constvars, *jaxpr.invars)}
        self._walk(jaxpr, given, within)  # what is given is the caller's
        self.peak = self._fullest()

    def _walk(self, jaxpr: Jaxpr, known: dict[Any, _Value], within: str) -> None:
        for eqn in jaxpr.eqns:
            name, place = eqn.primitive.name, len(self._inner)
            read = [known[v] for v in eqn.invars if not isinstance(v, Literal)]
            inner = programs_in([*eqn.params.values()])
            where = f"{within}/{_cleaned(str(eqn.source_info.name_stack))}".strip("/")
            if name in _VIEWS and len(eqn.invars) == 1 and read:
                known[eqn.outvars[0]] = read[0]
                continue
            if inner and _is_call(eqn, inner[0]):
                self._call(eqn, inner[0], known, where)
                continue
            made = [_Value(var.aval, where) for var in eqn.outvars]
            known.update(zip(eqn.outvars, made, strict=True))
            bodies = [_Program(each, where) for each in inner]
            self._inner.append(max((body.peak for body in bodies), default=0))
            self.largest = _largest([self.largest, *(body.largest for body in bodies)])
            written = name in _WRITTEN
            for value in made:
                value.made = value.read = place
                self._values.append(value)
                value.held |= written
            for value in read:
                value.read = place
                value.held |= written

    def _call(self, eqn: Any, inner: Jaxpr, known: dict[Any, _Value], where: str) -> None:
        """A program that is called, as if it were written out."""
        own = {var: _Value(var.aval) for var in inner.constvars}
        given = eqn.invars[len(eqn.invars) - len(inner.invars) :]
        for var, value in zip(inner.invars, given, strict=True):
            own[var] = _Value(var.aval) if isinstance(value, Literal) else known[value]
        self._walk(inner, own, where)
        for var, result in zip(eqn.outvars, inner.outvars, strict=True):
            known[var] = _Value(var.aval) if isinstance(result, Literal) else own[result]

    def _fullest(self) -> int:
        change = [0] * (len(self._inner) + 1)
        for value in self._values:
            if value.held:
                change[value.made] += value.size
                change[value.read + 1] -= value.size
                if value.size > self.largest.size:
                    shape, dtype = value.aval.shape, value.aval.dtype.name
                    self.largest = Largest(value.size, tuple(shape), dtype, value.where)
        there = most = 0
        for place, inner in enumerate(self._inner):
            there += change[place]
            most = max(most, there + inner)
        return most


def _is_call(eqn: Any, inner: Jaxpr) -> bool:
    """Whether an equation does what a program within it says, once."""
    loops = eqn.primitive.name in _LOOPS or eqn.primitive.name == "pallas_call"
    fits = len(inner.invars) <= len(eqn.invars) and len(inner.outvars) == len(eqn.outvars)
    return fits and not loops


def _cleaned(stack: str) -> str:
    """A place in the program without the transformations around it, "MLP/Dense_0" for one."""
    for word in ("transpose(", "jvp(", "vmap(", "jit(", "checkpoint(", ")"):
        stack = stack.replace(word, "")
    return stack.strip("/")
