"""Compiled steps: where their data lies, and whether they go in a loop or one by one."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxopt_lab.core.rows import is_lazy
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.engine.convolutions import slow_in_loop
from jaxopt_lab.engine.devices import own_memory
from jaxopt_lab.engine.from_host import FromHost
from jaxopt_lab.engine.fusions import fusions_for, options_of
from jaxopt_lab.engine.loop import make_run_steps
from jaxopt_lab.engine.meter import Meter
from jaxopt_lab.engine.needs import needs_of_program, require_compiled, require_fit, traced
from jaxopt_lab.engine.probe import Probe, nothing_measured
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step

# Rows of metrics a dispatch can return, and so its longest length; a few KiB.
CAPACITY = 4096

# The same where more is asked for: a few hundred KiB each, and a second of work at the least.
MOST_CAPACITY = 1 << 16


class CompiledSteps(NamedTuple):
    """The steps of one run, compiled.

    Attributes:
      advance: `(state, start, count, behind=None) -> (state, rows)`; the state given is donated,
        the rows are NumPy arrays of (count,). What `behind(state)` begins follows the steps at
        once, before anybody waits for them.
      most: the largest count of one call.
      in_loop: whether the steps of a call are one dispatch.
      may_loop: whether they would be if the data was on the device, and so whether batches of
        evaluation, which may be there, are one dispatch.
      fusions: that the steps are compiled with.
      host: what gives the batches of data on the host; None where it is on the device.
    """

    advance: Callable[..., tuple[TrainState, dict[str, np.ndarray]]]
    most: int
    in_loop: bool
    may_loop: bool
    fusions: str
    host: FromHost | None = None


def fits_on_device(data: dict[str, np.ndarray]) -> bool:
    """Whether a split may stay on the device: it takes at most half of the free memory.

    True on a CPU, whose memory is the host's; never where a part of it is mapped from a file.
    """
    if any(map(is_lazy, data.values())):
        return False
    own = own_memory(jax.local_devices()[0])
    return own is None or sum(v.nbytes for v in data.values()) <= own.free // 2


def compile_steps(
    step: Step,
    state: TrainState,
    data: dict[str, Any],
    batches: Batches,
    steps_per_dispatch: int | None = None,
    *,
    mesh: Mesh | None = None,
    total: int | None = None,
    probe: Probe | None = None,
    meter: Meter | None = None,
    fusions: str | None = None,
) -> CompiledSteps:
    """Compile a training step for a split of data.

    Args:
      step: from `make_step`.
      state: a state of the run, for its shapes.
      data: the training split; JAX arrays stay where they are, others stay on the host or in their
        file, and each batch travels.
      batches: how they are drawn, of 1 row to the split's size.
      steps_per_dispatch: the most steps of one dispatch; None for as many as are asked for, or
        one where the data is on the host, or where the step holds a convolution that the CPU
        backend would run slowly inside a loop.
      mesh: of the devices over which batches of data on the host are dealt; None for one device.
      total: steps of the run, past which nothing is read ahead; None for a time without an end.
      probe: what else is measured, every so many steps.
      meter: that of the step, whose numbers become columns.
      fusions: of `engine.fusions`, to compile with; None for those with which it is faster.

    Returns:
      A `CompiledSteps`.

    Raises:
      InputError: where a step needs more memory than there is; where that can be told, before it is
        compiled.
    """
    # Traced once, for what it needs and for the loop, and no program of its own within it: so it is
    # given its number wherever it is called.
    step = jax.jit(step, inline=True)
    on_host = not all(isinstance(v, jax.Array) for v in data.values())
    program = traced(step, state, batches.shapes(data), np.int32(0))
    needs, device = needs_of_program(program, state), jax.local_devices()[0]
    devices = 1 if mesh is None else mesh.size
    require_fit(needs, state, device, devices=devices)
    may_loop = steps_per_dispatch != 1
    if steps_per_dispatch is None:
        may_loop = not _slow(program, probe, state, data, batches)
    may_loop &= jax.process_count() == 1  # several hosts hand each batch over from the host
    fusions = fusions or fusions_for(program, device.platform, devices=devices)
    jit = functools.partial(jax.jit, compiler_options=options_of(fusions))

    def fits(compiled):
        """A compiled step, which is refused where it needs more than is free."""
        require_compiled(compiled, needs, device)
        return compiled

    if on_host or not may_loop:
        host = FromHost(data, batches, mesh=mesh, total=total) if on_host else None
        advance = _one_by_one(step, probe, state, data, batches, host, jit, fits)
        return CompiledSteps(_named(advance, meter), CAPACITY, False, may_loop, fusions, host)
    most = min(steps_per_dispatch or CAPACITY, MOST_CAPACITY)
    run_steps = make_run_steps(step, batches, most, probe=probe)
    advance = _looped(run_steps, state, data, jit, fits)
    return CompiledSteps(_named(advance, meter), most, True, True, fusions)


def _named(advance, meter):
    """`advance` with the numbers of a meter by their names."""
    if meter is None:
        return advance

    def named(state, start, count, behind=None):
        state, rows = advance(state, start, count, behind)
        return state, meter.named(rows, state.params)

    return named


def _slow(program, probe, state, data, batches) -> bool:
    if jax.default_backend() != "cpu":
        return False
    if probe is None:
        return slow_in_loop(program)
    measured = jax.make_jaxpr(probe.measure)(state, batches.shapes(data))
    return slow_in_loop(program) or slow_in_loop(measured)


def _places(state: Any) -> Any:
    """Where each array of a state is."""
    return jax.tree.map(lambda x: x.sharding, state)


def _looped(run_steps, state, data, jit, fits):
    # The next call wants the state where it was: the compiler would leave it where it likes.
    run_steps = jit(run_steps, donate_argnums=0, out_shardings=(_places(state), None))
    compiled = fits(run_steps.lower(state, data, np.int32(0), np.int32(0)).compile())

    def advance(state, start, count, behind=None):
        state, rows = compiled(state, data, np.int32(start), np.int32(count))
        if behind is not None:
            behind(state)
        return state, {name: np.asarray(v)[:count] for name, v in rows.items()}

    return advance


def _one_by_one(step, probe, state, data, batches, host, jit, fits):
    """`advance` with a dispatch a step: of data on the device, or on the `host`.

    The order of an epoch is drawn when its first step is taken. Of data on the host it is brought
    there, where the rows of each batch are read; else the batch is taken within the step.
    """
    examples = len(data["y"])
    steps_per_epoch = batches.steps(examples)

    @jax.jit
    def order_of(key, epoch):
        return batches.order(key, epoch, examples)

    def dispatched(function, **how):
        """`(state, k) -> function(state, batch of step k, k)`, compiled."""
        if host is not None:
            lowered = jit(function, **how).lower(state, host.of_zeros(), np.int32(0))
            compiled = fits(lowered.compile())

            def one(state, k):
                key = state.key
                batch = host.batch(k, lambda epoch: order_at(key, epoch), busy=state)
                return compiled(state, batch, np.int32(k))

            return one

        def on_device(state, data, order, k):
            return function(state, batches.take(data, order, k), k)

        order = jax.eval_shape(order_of, state.key, 0)
        lowered = jit(on_device, **how).lower(state, data, order, np.int32(0))
        compiled = fits(lowered.compile())
        return lambda state, k: compiled(
            state, data, order_at(state.key, k // steps_per_epoch), np.int32(k)
        )

    one = dispatched(step, donate_argnums=0, out_shardings=(_places(state), None))
    nothing = {}
    if probe is not None:
        nothing = jax.device_get(nothing_measured(probe, state, batches.shapes(data)))
        measure = dispatched(
            lambda state, batch, _: probe.measure(state, batch),
            out_shardings=(_places(state.probe), None),
        )

    # The order of the epoch in progress, kept between calls.
    cache: dict[int, Any] = {}

    def order_at(key, epoch):
        if epoch not in cache:
            cache.clear()
            order = order_of(key, epoch)
            cache[epoch] = order if host is None else _on_host(order, examples)
        return cache[epoch]

    def advance(state, start, count, behind=None):
        rows = []
        for k in range(start, start + count):
            found = nothing
            if probe is not None and (k + 1) % probe.every == 0:
                carried, found = measure(state, k)
                state = state._replace(probe=carried)
            state, row = one(state, k)
            rows.append(row | found)
        if behind is not None:
            behind(state)
        rows = jax.device_get(rows)
        return state, {name: np.array([row[name] for row in rows]) for name in rows[0]}

    return advance


def _on_host(order: jax.Array | None, examples: int) -> np.ndarray:
    return np.arange(examples) if order is None else np.asarray(order)
