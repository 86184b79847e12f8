"""The layers and the activations inside any function `apply(params, x)`.

No framework is asked: the function's jaxpr is evaluated one equation after another, so Linen, NNX,
Equinox and plain functions are read alike. A value is one of three:

    uniform    one number, or one number broadcast: a literal, the slope of a PReLU
    rooted     f(z), elementwise in one other value z alone, its root, and in uniform values
    its own    anything else, such as a matrix product, a bias added, a normalized batch

1. `dot_general` and `conv_general_dilated` of data and parameters, and a `gather` of parameters by
   data as in an embedding, begin a layer, and mark the axes of its units, which reshapes and
   transposes move.
2. A rooted value that bends z, and goes into something that is not rooted at z, is an activation,
   but for a gain after it: z is the pre-activation, after bias and normalization.
3. The recorded equations between are f, for derivatives at z and elsewhere.

Calls (jit, remat, custom derivatives) are read inside. `scan`, `while` and `cond` are not: what
they hold, and an activation right at their outputs, is not seen. Nor is one right after a sum or a
maximum over axes, because it cannot be told from the statistics of a normalization; a pooling
window is no such.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

from jaxopt_lab.diagnostics.layers import layer_of

# Elementwise primitives that bend a line. Powers, exp and abs alone do not count: in a network they
# belong to variances and to softmax.
_BENDS = frozenset(
    ("max", "min", "clamp", "select_n", "tanh", "logistic", "erf", "erfc", "expm1", "log", "log1p",
     "sin", "cos", "atan", "asinh", "sign")
)  # fmt: skip
_ELEMENTWISE = _BENDS | frozenset(
    ("add", "add_any", "sub", "mul", "div", "neg", "abs", "exp", "exp2", "sqrt", "rsqrt", "cbrt",
     "square", "integer_pow", "pow", "tan", "sinh", "cosh", "erf_inv", "acosh", "atanh", "asin",
     "acos", "ge", "gt", "le", "lt", "eq", "ne", "and", "or", "not", "xor", "floor", "ceil",
     "round", "is_finite", "convert_element_type", "copy", "name", "stop_gradient",
     "reduce_precision", "sharding_constraint")
)  # fmt: skip
_REDUCTIONS = ("reduce_", "arg", "scan", "while", "cond")
_STRAIGHT = frozenset(
    ("add", "sub", "mul", "div", "copy", "convert_element_type", "name", "reduce_precision")
)
_COMMON = {"logistic": "sigmoid", "select_n": "where", "max": "max", "mul": "product"}


@dataclass(eq=False)
class _Value:
    """An array of the evaluation, and how it came to be."""

    array: Any
    data: bool = False  # it depends on the inputs
    parameter: str | None = None  # the first parameter that it is made of, where it is not data
    layer: int = -1  # the last layer on its way
    units: tuple[int, ...] | None = None  # axes; None before any layer and for statistics
    plain: bool = False  # the layer's own output, but for its bias
    uniform: bool = False
    root: "_Value | None" = None
    bends: bool = False
    straight: bool = False  # its last step is along a line
    made: Callable[[Sequence[Any]], list[Any]] | None = None
    operands: Sequence["_Value"] = ()
    name: str = ""


@dataclass(eq=False)
class Activation:
    """An activation of one layer, or its absence.

    Attributes:
      layer: the path of the layer before it.
      name: of the function, as the program calls it; "none" for a layer without one.
      before: z, the pre-activation, or the layer's output.
      after: f(z).
      units: axes of z along which the units lie.
      slope: `z -> f'(z)`, elementwise, of arrays of the shape of `before`; None without one.
    """

    layer: str
    name: str
    before: jax.Array
    after: jax.Array
    units: tuple[int, ...]
    slope: Callable[[jax.Array], jax.Array] | None


def activations(
    apply: Callable[[Any, Any], Any], leaves: Sequence[Any], names: Sequence[str], x: Any
) -> tuple[list[Activation], tuple[str, ...]]:
    """What `apply(leaves, x)` does to `x`, layer by layer in the order of use.

    Beside it the paths of all layers with parameters, in that order too.

    Args:
      apply: the model, of its parameters as a list.
      leaves: the parameters.
      names: of the leaves.
      x: the inputs, a pytree.
    """
    closed = jax.make_jaxpr(apply)(list(leaves), x)
    given = [_Value(leaf, parameter=name) for leaf, name in zip(leaves, names, strict=True)]
    given += [_Value(leaf, data=True) for leaf in jax.tree.leaves(x)]
    for value in given:
        value.array = jnp.asarray(value.array)
        value.uniform = not value.data and value.array.ndim == 0
    walk = _Walk()
    for value in walk.run(closed.jaxpr, closed.consts, given):
        walk.leave(value)
    found = []
    for i, (label, value) in enumerate(walk.layers):
        of_layer = [_activation(label, v) for v in walk.bent if v.layer == i]
        units = value.units or (value.array.ndim - 1,)
        bare = Activation(label, "none", value.array, value.array, units, None)
        found += of_layer or [bare]
    return found, tuple(walk.used)


def _activation(label: str, value: _Value) -> Activation:
    root = value.root
    assert root is not None and root.units is not None

    def slope(z: jax.Array) -> jax.Array:
        y, pull = jax.vjp(lambda z: _replay(value, {id(root): z}), z)
        return pull(jnp.ones_like(y))[0]

    return Activation(label, _name(value), root.array, value.array, root.units, slope)


def _replay(value: _Value, known: dict[int, Any]) -> Any:
    """The value at another z: `known` starts as `{id(root): z}`."""
    if id(value) not in known:
        if value.root is None or value.made is None:
            return value.array
        operands = [_replay(v, known) for v in value.operands]
        known[id(value)] = value.made(operands)[0]
    return known[id(value)]


def _name(value: _Value) -> str:
    """`relu`, or `product(tanh)` for one that the program spells out."""
    outer = _COMMON.get(value.name, value.name).strip("_")
    if value.bends and not any(v.bends for v in value.operands):
        return outer
    inner = next((v for v in value.operands if v.bends), None)
    while inner is not None and any(v.bends for v in inner.operands):
        inner = next(v for v in inner.operands if v.bends)
    return outer if inner is None else f"{outer}({_COMMON.get(inner.name, inner.name).strip('_')})"


def _unscaled(value: _Value) -> _Value:
    """The value before what follows its activation: a gain, the 1/p of dropout, another type."""
    while value.bends and value.straight:
        inner = next(v for v in value.operands if not v.uniform)
        if not inner.bends:
            break
        value = inner
    return value


def _function(jaxpr: Jaxpr, equation: JaxprEqn) -> Callable[[Sequence[Any]], list[Any]]:
    """An equation of `jaxpr` as a function of its operands; derivative rules of calls are kept."""
    # By way of a jaxpr of this equation alone, because how one binds differs between JAX versions.
    places = {v: i for i, v in enumerate(equation.invars) if not isinstance(v, Literal)}
    outputs = list(equation.outvars)
    alone = jaxpr.replace(constvars=[], invars=list(places), outvars=outputs, eqns=[equation])
    evaluate = jaxpr_as_fun(ClosedJaxpr(alone, ()))
    return lambda operands: list(evaluate(*(operands[i] for i in places.values())))


def _inside(equation: JaxprEqn) -> ClosedJaxpr | None:
    """What a call calls, with as many inputs as the equation; None for all other equations."""
    if equation.primitive.name in ("scan", "while", "cond", "pallas_call", "shard_map"):
        return None
    for key in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        inner = equation.params.get(key)
        if isinstance(inner, Jaxpr):
            inner = ClosedJaxpr(inner, ())
        if isinstance(inner, ClosedJaxpr) and len(inner.jaxpr.invars) == len(equation.invars):
            return inner
    return None


def _elementwise(equation: JaxprEqn) -> bool:
    """Whether it is elementwise in all that is not uniform, itself or all inside it."""
    inner = _inside(equation)
    if inner is None:
        return equation.primitive.name in _ELEMENTWISE
    return all(
        _elementwise(e) or (e.primitive.name == "broadcast_in_dim" and not _shape(e.invars[0]))
        for e in inner.jaxpr.eqns
    )


def _bends(equation: JaxprEqn) -> bool:
    inner = _inside(equation)
    if inner is not None:
        return any(_bends(e) for e in inner.jaxpr.eqns)
    name = equation.primitive.name
    return name in _BENDS or (name == "div" and bool(_shape(equation.invars[1])))


def _called(equation: JaxprEqn) -> str:
    """The name of the function that it calls, or its own."""
    inner = _inside(equation)
    if inner is None:
        return equation.primitive.name
    if "name" in equation.params:
        return str(equation.params["name"])
    bending = [e for e in inner.jaxpr.eqns if _bends(e)]
    return _called(bending[-1]) if bending else equation.primitive.name


def _shape(variable: Any) -> tuple[int, ...]:
    return tuple(variable.aval.shape)


@dataclass
class _Walk:
    """An evaluation and what it has found."""

    layers: list[tuple[str, _Value]] = field(default_factory=list)
    bent: list[_Value] = field(default_factory=list)
    used: dict[str, None] = field(default_factory=dict)

    def run(self, jaxpr: Jaxpr, consts: Sequence[Any], given: Sequence[_Value]) -> list[_Value]:
        values: dict[Any, _Value] = {}

        def read(v: Any) -> _Value:
            if isinstance(v, Literal):
                return _Value(v.val, uniform=np.ndim(v.val) == 0)
            return values[v]

        for variable, const in zip(jaxpr.constvars, consts, strict=True):
            values[variable] = _Value(const, uniform=np.ndim(const) == 0)
        values.update(zip(jaxpr.invars, given, strict=True))
        for equation in jaxpr.eqns:
            made = self.evaluate(jaxpr, equation, [read(v) for v in equation.invars])
            values.update(zip(equation.outvars, made, strict=True))
        return [read(v) for v in jaxpr.outvars]

    def leave(self, value: _Value) -> None:
        """The value goes into something that is not rooted where it is."""
        value = _unscaled(value)
        floating = jnp.issubdtype(jnp.result_type(value.array), jnp.floating)
        if value.bends and floating and not any(value is other for other in self.bent):
            self.bent.append(value)

    def evaluate(self, jaxpr: Jaxpr, equation: JaxprEqn, operands: list[_Value]) -> list[_Value]:
        compute = _function(jaxpr, equation)
        member = self._rooted(equation, operands, compute)
        if member is not None:
            return [member]
        inner = _inside(equation)
        if inner is not None and any(v.data for v in operands):
            return self.run(inner.jaxpr, inner.consts, operands)
        if equation.params.get("branches_platforms") is not None:
            # Of `lax.platform_dependent`, whose branches compute the same: that of no platform.
            inner = equation.params["branches"][-1]
            return self.run(inner.jaxpr, inner.consts, operands[1:])
        for value in operands:
            self.leave(value)
            if value.parameter is not None and any(v.data for v in operands):
                self.used.setdefault(layer_of(value.parameter))
        arrays = compute([v.array for v in operands])
        return [self._own(equation, operands, array) for array in arrays]

    def _rooted(self, equation: JaxprEqn, operands: list[_Value], compute: Any) -> _Value | None:
        """The equation's one value, where it is elementwise in a root that follows a layer."""
        varied = [v for v in operands if not v.uniform]
        if not varied or len(equation.outvars) != 1 or not _elementwise(equation):
            return None
        roots = [v.root or v for v in varied]
        root, shape = roots[0], _shape(equation.outvars[0])
        if any(r is not root for r in roots) or root.units is None or root.array.shape != shape:
            return None
        name = equation.primitive.name
        divides = name == "div" and not operands[1].uniform
        straight = name in _STRAIGHT and len(varied) == 1 and not divides
        (array,) = compute([v.array for v in operands])
        return _Value(
            array, True, None, root.layer, root.units, root=root, made=compute,
            operands=operands, name=_called(equation), straight=straight,
            bends=any(v.bends for v in varied) or (divides if name == "div" else _bends(equation)),
        )  # fmt: skip

    def _own(self, equation: JaxprEqn, operands: list[_Value], array: Any) -> _Value:
        name, data = equation.primitive.name, [v for v in operands if v.data]
        if not data:
            of = next((v.parameter for v in operands if v.parameter is not None), None)
            # One number stays one number when it is broadcast or computed with.
            spread = name == "broadcast_in_dim" or name in _ELEMENTWISE
            uniform = np.ndim(array) == 0 or (spread and all(v.uniform for v in operands))
            return _Value(array, parameter=of, uniform=uniform)
        value = _Value(array, data=True, layer=max(v.layer for v in data))
        if name == "gather" and not operands[0].data and operands[0].parameter is not None:
            value.units, value.layer, value.plain = (np.ndim(array) - 1,), len(self.layers), True
            self.layers.append((layer_of(operands[0].parameter), value))
            return value
        if name in ("dot_general", "conv_general_dilated"):
            value.units = _units_of_layer(equation, operands)
            if len(data) == 1:  # the other is the kernel
                value.layer, value.plain = len(self.layers), True
                kernel = next(v for v in operands if not v.data).parameter
                self.layers.append((layer_of(kernel) if kernel else f"{name}_{value.layer}", value))
            return value
        if not name.startswith(_REDUCTIONS) or name.startswith("reduce_window"):
            source = next((v for v in data if v.units is not None), None)
            if source is not None and np.ndim(array):
                value.units = _moved(equation, source, np.shape(array))
        moves = name in ("transpose", "reshape", "squeeze") or (name == "add" and len(data) == 1)
        if moves and data[0].plain and value.units and _sizes(value) == _sizes(data[0]):
            value.plain = True
            self.layers[value.layer] = (self.layers[value.layer][0], value)
        return value


def _sizes(value: _Value) -> list[int]:
    """How many units there are along each of their axes."""
    return [value.array.shape[axis] for axis in value.units or ()]


def _units_of_layer(equation: JaxprEqn, operands: list[_Value]) -> tuple[int, ...]:
    """The axes of a layer's output that its kernel brings."""
    last = len(_shape(equation.outvars[0])) - 1
    numbers = equation.params["dimension_numbers"]
    if equation.primitive.name == "conv_general_dilated":
        # The house's own rewriting has the kernel slide over the images' place.
        return (numbers.out_spec[1 if operands[0].data else 0],)
    (left, _), (batch, _) = numbers
    free = operands[0].array.ndim - len(left) - len(batch)  # axes that the left operand brings
    if operands[0].data:
        axes = tuple(range(len(batch) + free, last + 1))
    else:
        axes = tuple(range(len(batch), len(batch) + free))
    return axes or (last,)


def _moved(equation: JaxprEqn, source: _Value, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Where the axes of units are after an equation that moves axes; else the last."""
    units, before, name = source.units or (), source.array.shape, equation.primitive.name
    last = (len(shape) - 1,)
    if name == "transpose":
        return tuple(equation.params["permutation"].index(axis) for axis in units)
    if name == "broadcast_in_dim":
        return tuple(int(equation.params["broadcast_dimensions"][axis]) for axis in units)
    if name in ("reshape", "squeeze"):
        # An axis stays itself where its length and the product of those before it do.
        places = [
            [
                j
                for j, size in enumerate(shape)
                if size == before[axis] and math.prod(shape[:j]) == math.prod(before[:axis])
            ]
            for axis in units
        ]
        return tuple(place[-1] for place in places) if all(places) else last
    return units if len(shape) == len(before) else last
