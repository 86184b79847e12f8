"""What of a run lies on which device: parameters and all that belongs to them, split or copied.

The rule, for each array: the mesh axes that split parameters are taken together, and the array's
largest axis that their devices divide is split over them; where they divide none, over the last
of them alone. An array of few numbers, or one that nothing divides, is copied to every device. A
`Rule` says otherwise. An array of the optimizer's state that belongs to a parameter, by its path
and its shape, lies where the parameter does.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import flatten_with_names, size_bytes
from jaxopt_lab.core.types import Batch, Optimizer, Params
from jaxopt_lab.engine.devices import DATA, MODEL
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step

# Below so many numbers a copy costs less than to gather the parts.
SMALL = 1024


class Rule(NamedTuple):
    """Where the parameters whose path a pattern matches are split.

    Attributes:
      match: a regular expression, searched for in the path, "Dense_0/kernel" for one.
      axes: for each axis of the array the names of the mesh axes that split it, `()` for none.
    """

    match: str
    axes: tuple[tuple[str, ...], ...]


class Layout(NamedTuple):
    """The devices of one run, and the rule by which arrays are split over them.

    Attributes:
      mesh: a mesh with the axes "data" and "model", or their names with their sizes: a mesh that is
        not here can be reckoned with.
      split: the mesh axes that split parameters, () to copy them.
      rules: what lies otherwise; the first that matches counts.
    """

    mesh: Mesh | Mapping[str, int]
    split: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Devices by the mesh's axes."""
        return dict(self.mesh.shape if isinstance(self.mesh, Mesh) else self.mesh)

    @property
    def devices(self) -> int:
        """How many share a run."""
        return self.sizes[DATA] * self.sizes[MODEL]

    def specs(self, params: Params) -> Any:
        """The `PartitionSpec` of each parameter.

        Args:
          params: a tree of arrays or of `jax.ShapeDtypeStruct`s.

        Raises:
          InputError: where a rule matches no parameter, or does not fit one that it matches.
        """
        named = flatten_with_names(params)
        for rule in self.rules:
            if not any(re.search(rule.match, name) for name in named):
                raise InputError(
                    f"mesh.rule: {rule.match!r} matches no parameter; there are {', '.join(named)}"
                )
        leaves = [self._spec(name, x.shape) for name, x in named.items()]
        return jax.tree.unflatten(jax.tree.structure(params), leaves)

    def state_specs(self, state: Any, params: Params) -> Any:
        """The `PartitionSpec` of every array of a tree that holds what belongs to parameters.

        Args:
          state: an optimizer's state, or a whole `TrainState`, of arrays or their shapes.
          params: the parameters, or their shapes.
        """
        return like_parameters(state, params, self.specs(params), PartitionSpec())

    def bytes_of(self, tree: Any, specs: Any) -> Any:
        """What a device holds of each array of a tree, in bytes."""
        return jax.tree.map(lambda x, spec: size_bytes(x) // self.parts(spec), tree, specs)

    def parts(self, spec: PartitionSpec) -> int:
        """Into how many parts an array is split."""
        return math.prod(self.sizes[name] for axis in spec for name in _names(axis))

    def place(self, specs: Any) -> Any:
        """The specs as `NamedSharding`s, of a mesh that is here."""
        assert isinstance(self.mesh, Mesh), "a mesh of devices"
        mesh = self.mesh
        return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)

    def gathered(self, params: Params) -> Params:
        """Parameters as the model is applied to them: those split over "data" are brought together.

        Every device has samples of its own there, and needs all of a parameter for them; what comes
        back of its gradient are sums, split again. What "model" splits stays split, and with it the
        layer's outputs.
        """
        if DATA not in self.split and not any(DATA in axes for r in self.rules for axes in r.axes):
            return params
        specs = jax.tree.map(without_data, self.specs(params))
        return jax.lax.with_sharding_constraint(params, self.place(specs))

    def _spec(self, name: str, shape: tuple[int, ...]) -> PartitionSpec:
        for rule in self.rules:
            if re.search(rule.match, name):
                return self._by_rule(rule, name, shape)
        if math.prod(shape) < SMALL:
            return PartitionSpec()
        for axes in dict.fromkeys((self.split, self.split[-1:])):
            devices = math.prod(self.sizes[axis] for axis in axes)
            divided = [i for i, size in enumerate(shape) if size % devices == 0]
            if devices > 1 and divided:
                largest = max(divided, key=lambda i: shape[i])
                return PartitionSpec(*(None,) * largest, axes)
        return PartitionSpec()

    def _by_rule(self, rule: Rule, name: str, shape: tuple[int, ...]) -> PartitionSpec:
        if len(rule.axes) != len(shape):
            raise InputError(
                f"mesh.rule: {rule.match!r} has {len(rule.axes)} axes and {name} is of shape "
                f"{shape}: give one for each of its {len(shape)}"
            )
        for i, (size, axes) in enumerate(zip(shape, rule.axes, strict=True)):
            devices = math.prod(self.sizes[axis] for axis in axes)
            if size % devices:
                raise InputError(
                    f"mesh.rule: {rule.match!r} splits axis {i} of {name}, {size} long, over "
                    f"{devices} devices, which do not divide it: {_nearest(size, devices)} would be"
                )
        return PartitionSpec(*(axes or None for axes in rule.axes))


def like_parameters(state: Any, params: Params, of_params: Any, otherwise: Any) -> Any:
    """What each parameter has, for every array of a state that belongs to one.

    An array belongs to the parameter whose path ends its own and whose shape it has.

    Args:
      state: a tree of arrays or their shapes.
      params: the parameters, or their shapes.
      of_params: a tree with one entry, no tuple of its own, a parameter.
      otherwise: for the arrays that belong to none.

    Returns:
      A tree of the state's structure.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    entries = structure.flatten_up_to(of_params)
    known = {(_keys(path), x.shape): entry for (path, x), entry in zip(paths, entries, strict=True)}

    def entry(path, leaf):
        keys = _keys(path)
        ends = ((keys[i:], leaf.shape) for i in range(len(keys) + 1))  # the longest first
        return next((known[end] for end in ends if end in known), otherwise)

    return jax.tree_util.tree_map_with_path(entry, state)


def init_sharded(tx: Optimizer, params: Params) -> Any:
    """An optimizer's first state, under `jit`, with every part where its parameter lies.

    `jax.jit(tx.init)(params)` puts what does not depend on the values, such as moments of zeros, on
    one device. Here an array that belongs to a parameter lies where the parameter does, and every
    other on all of its devices.

    Args:
      tx: an optax transformation.
      params: arrays, each with a sharding of its own.

    Returns:
      The state.
    """
    shapes = jax.eval_shape(tx.init, params)
    places = [x.sharding for x in jax.tree.leaves(params)]
    on_mesh = next((s for s in places if isinstance(s, NamedSharding)), None)
    if on_mesh is None:
        return jax.jit(tx.init)(params)
    everywhere = NamedSharding(on_mesh.mesh, PartitionSpec())
    of_params = jax.tree.unflatten(jax.tree.structure(params), places)
    placed = like_parameters(shapes, params, of_params, everywhere)
    return jax.jit(tx.init, out_shardings=placed)(params)


def laid_out(step: Step, layout: Layout, places: Any) -> Step:
    """The step with its batch dealt over "data" and the state in its places.

    The program is still that of the whole batch, which XLA splits: means, and so the statistics of
    BatchNorm, are of the whole batch, and every random number is what it is on one device.

    Args:
      step: from `make_step`.
      layout: of a mesh that is here, whose axis "data" divides the batch.
      places: the shardings of the state.
    """
    rows, everywhere = layout.place(PartitionSpec(DATA)), layout.place(PartitionSpec())

    def split(state: TrainState, batch: Batch, at: jax.Array | None = None):
        batch = jax.lax.with_sharding_constraint(batch, rows)
        state, row = step(state, batch, at)
        row = jax.lax.with_sharding_constraint(row, everywhere)
        return jax.lax.with_sharding_constraint(state, places), row

    return split


def require_even(batch_size: int, devices: int) -> None:
    """Make sure that the devices divide a batch.

    Raises:
      InputError: where they do not.
    """
    if batch_size % devices:
        raise InputError(
            f"data.batch_size = {batch_size} is not a multiple of the {devices} devices: make it "
            f"{_nearest(batch_size, devices)}, or use fewer (mesh.data, --devices)"
        )


def _nearest(size: int, devices: int) -> int:
    """The multiple of `devices` next to a size, at least one of each."""
    return max(1, round(size / devices)) * devices


def _keys(path: Sequence[Any]) -> tuple[str, ...]:
    return tuple(jax.tree_util.keystr((key,), simple=True) for key in path)


def _names(axis: Any) -> tuple[str, ...]:
    return () if axis is None else axis if isinstance(axis, tuple) else (axis,)


def without_data(spec: PartitionSpec) -> PartitionSpec:
    """What is left of a split where the parts over "data" are brought together."""
    return PartitionSpec(*(tuple(n for n in _names(axis) if n != DATA) or None for axis in spec))
