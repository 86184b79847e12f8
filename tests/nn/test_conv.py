"""`Conv` against XLA's own convolution: values, gradients, transformations and parameters."""

import itertools
import re
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_lab.core.tree import stack_trees
from jaxopt_lab.engine.convolutions import equations, slow_in_loop
from jaxopt_lab.nn import Conv
from jaxopt_lab.nn.convolution import canonical_convolution

# Sums of at most a few thousand products of order 1, in float64.
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}


@pytest.fixture(autouse=True)
def _float64(x64):
    """All of these."""


class Case(NamedTuple):
    image: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: int = 1
    padding: Any = "SAME"
    input_dilation: int = 1
    kernel_dilation: int = 1
    channels: int = 2
    features: int = 3
    groups: int = 1
    batch: int = 2


def _cases() -> dict[str, Case]:
    cases = {}
    for n, size, kernel, strides, padding in itertools.product(
        (1, 2), (6, 7), (1, 2, 3, 5), (1, 2, 3), ("SAME", "VALID")
    ):
        # Half of them in 1-D, the others in 2-D: each pairs any two arguments' values.
        if (n + size + kernel + strides + (padding == "SAME")) % 2:
            name = f"{n}d-{size}-k{kernel}-s{strides}-{padding}"
            cases[name] = Case((size,) * n, (kernel,) * n, strides, padding)
    return cases | {
        "3d": Case((4, 3, 5), (3, 2, 1)),
        "3d-s2": Case((5, 4, 4), (2, 3, 3), 2, "VALID"),
        "3d-groups": Case((3, 4, 3), (3, 3, 3), channels=4, features=4, groups=2),
        "oblong": Case((4, 9), (1, 5)),
        "lower": Case((6, 5), (2, 4), 2, "SAME_LOWER"),
        "explicit": Case((6, 7), (3, 2), 2, ((0, 2), (3, 1))),
        "padding-negative": Case((8, 7), (3, 2), 1, ((-1, -2), (0, -1))),
        "padding-beyond-kernel": Case((4, 5), (2, 2), 1, ((3, 4), (2, 0))),
        "kernel-larger-than-image": Case((2, 3), (5, 4), 1, ((3, 4), (2, 2))),
        "kernel-larger-s2-dilated": Case((2, 3), (3, 4), 2, ((4, 3), (5, 2)), 2, 3),
        "kernel-larger-groups": Case((2, 2), (3, 3), channels=4, features=6, groups=2),
        "stride-beyond-kernel": Case((7, 8), (1, 2), 3, "VALID"),
        "rows-never-read": Case((8, 9), (2, 2), 3, "VALID"),
        "circular": Case((5, 6), (3, 4), 1, "CIRCULAR"),
        "circular-s2-dilated": Case((6, 7), (3, 3), 2, "CIRCULAR", 1, 2),
        "kernel-dilated": Case((8, 9), (3, 2), 1, "SAME", 1, 2),
        "kernel-dilated-s3": Case((9, 8), (2, 3), 3, "VALID", 1, 2),
        "input-dilated": Case((4, 5), (3, 3), 1, ((2, 1), (1, 2)), 2),
        "input-dilated-s2": Case((4, 5), (3, 2), 2, ((1, 1), (0, 2)), 3),
        "both-dilated-s2": Case((4, 5), (3, 2), 2, ((2, 3), (1, 2)), 3, 2),
        "1d-causal": Case((7,), (3,), 1, "CAUSAL", 1, 2),
        "groups": Case((5, 6), (3, 3), channels=4, features=6, groups=2),
        "groups-s2-dilated": Case((7, 8), (3, 2), 2, "VALID", 1, 2, 6, 6, 3),
        "groups-all-dilated": Case((4, 3), (2, 3), 2, ((3, 2), (2, 3)), 3, 2, 4, 2, 2),
        "groups-in-blocks": Case((4, 5), (5, 5), channels=12, features=24, groups=6, batch=8),
        "groups-each-alone": Case((4, 4), (5, 5), channels=24, features=4, groups=2),
        "depthwise": Case((5, 6), (3, 3), channels=4, features=4, groups=4),
        "depthwise-in-blocks": Case((4, 4), (5, 5), channels=24, features=24, groups=24),
        "depthwise-multiplier-s2": Case((6, 5), (3, 3), 2, channels=3, features=6, groups=3),
        "depthwise-1x1": Case((4, 4), (1, 1), channels=3, features=3, groups=3),
    }


CASES = _cases()
# Every kind of argument once, for what does not depend on sizes.
KINDS = [name for name in CASES if not name.startswith(("1d-6", "1d-7", "2d-"))]
# Those that take another way through the second derivative.
SECOND = ["3d-groups", "both-dilated-s2", "circular", "depthwise", "groups-all-dilated", "explicit"]
REST = [*KINDS, "1d-7-k3-s1-SAME", "2d-7-k5-s2-SAME", "2d-6-k3-s2-VALID"]
REST = [name for name in REST if name not in SECOND]


def _layers(case: Case, **fields: Any) -> tuple[nn.Module, nn.Module]:
    arguments = {
        "features": case.features,
        "kernel_size": case.kernel,
        "strides": case.strides,
        "padding": case.padding,
        "input_dilation": case.input_dilation,
        "kernel_dilation": case.kernel_dilation,
        "feature_group_count": case.groups,
        "param_dtype": jnp.float64,
        **fields,
    }
    return Conv(**arguments, backward="canonical"), nn.Conv(**arguments)


def _operands(case: Case, seed: int = 0) -> tuple[dict[str, jax.Array], jax.Array]:
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(*case.kernel, case.channels // case.groups, case.features))
    params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(rng.normal(size=case.features))}
    return params, jnp.asarray(rng.normal(size=(case.batch, *case.image, case.channels)))


def _loss(layer):
    # Neither linear nor quadratic in the output, so that no derivative is trivial.
    def loss(params, x):
        return jnp.sin(layer.apply({"params": params}, x)).sum()

    return loss


def _gradient(layer):
    return jax.grad(_loss(layer), argnums=(0, 1))


def _second(layer):
    """The gradient, by reverse over reverse, of a function of both first gradients."""

    def of_gradient(params, x):
        leaves = jax.tree.leaves(_gradient(layer)(params, x))
        return sum(jnp.cos(leaf).sum() for leaf in leaves)

    return jax.grad(of_gradient, argnums=(0, 1))


def _assert_equal(ours, theirs, **tolerance):
    tolerance = tolerance or TOLERANCE
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), ours, theirs)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in KINDS else pytest.mark.slow) for n in CASES]
)
def test_value_and_gradients_equal_xlas_own(name):
    case = CASES[name]
    operands = _operands(case)

    @jax.jit
    def everything(params, x):
        return [
            (
                _loss(layer)(params, x),
                layer.apply({"params": params}, x),
                _gradient(layer)(params, x),
            )
            for layer in _layers(case)
        ]

    ours, theirs = everything(*operands)
    _assert_equal(ours, theirs)


@pytest.mark.parametrize(
    "name", [*SECOND, *(pytest.param(n, marks=pytest.mark.slow) for n in REST)]
)
def test_second_derivative_equals_xlas_own(name):
    case = CASES[name]

    @jax.jit
    def both(params, x):
        return [_second(layer)(params, x) for layer in _layers(case)]

    ours, theirs = both(*_operands(case))
    _assert_equal(ours, theirs)


@pytest.mark.parametrize("name", ["both-dilated-s2", "groups-all-dilated"])
def test_third_derivative_equals_xlas_own(name):
    case = CASES[name]
    params, x = _operands(case)

    def third(layer, params, x):
        def squares(params):
            return sum((g**2).sum() for g in jax.tree.leaves(_second(layer)(params, x)))

        return jax.grad(squares)(params)

    # Operands as arguments: jaxlib 0.7.2 folds constants wrongly in XLA's own third derivative.
    ours, theirs = jax.jit(lambda *args: [third(layer, *args) for layer in _layers(case)])(
        params, x
    )
    _assert_equal(ours, theirs)


@pytest.mark.parametrize("name", KINDS)
def test_derivatives_hold_only_what_xla_does_fast(name):
    # Without these XLA reverses the window, or takes its slow grouped convolution.
    case = CASES[name]
    layer, _ = _layers(case)
    jaxpr = jax.make_jaxpr(_second(layer))(*_operands(case))
    assert not slow_in_loop(jaxpr)
    for eqn in equations(jaxpr):
        if eqn.primitive is lax.conv_general_dilated_p:
            image, kernel = (v.aval.shape for v in eqn.invars)
            assert np.prod(kernel[:-2]) <= np.prod(image[1:-1])
            assert eqn.params["feature_group_count"] == eqn.params["batch_group_count"] == 1


@pytest.mark.parametrize("name", ["explicit", "both-dilated-s2", "groups-in-blocks", "depthwise"])
def test_training_in_a_scan_equals_a_python_loop(name):
    case = CASES[name]
    gradient = _gradient(_layers(case)[0])
    params, x = _operands(case)

    def step(params, _):
        return jax.tree.map(lambda p, g: p - 0.01 * g, params, gradient(params, x)[0]), None

    scanned, _ = jax.jit(lambda params: lax.scan(step, params, length=3))(params)
    for _ in range(3):
        params, _ = jax.jit(step)(params, None)
    _assert_equal(scanned, params)


@pytest.mark.parametrize("name", ["explicit", "kernel-larger-than-image", "groups-in-blocks"])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
def test_vmap_equals_a_loop(name, axes):
    case = CASES[name]
    gradient = _gradient(_layers(case)[0])
    alone = jax.jit(gradient)
    several = [_operands(case, seed) for seed in range(3)]
    stacked = stack_trees(several)
    arguments = [stacked[i] if axes[i] == 0 else several[0][i] for i in range(2)]
    batched = jax.jit(jax.vmap(gradient, axes))(*arguments)
    one_by_one = [
        alone(several[s if axes[0] == 0 else 0][0], several[s if axes[1] == 0 else 0][1])
        for s in range(3)
    ]
    _assert_equal(batched, stack_trees(one_by_one))


@pytest.mark.parametrize("name", ["explicit", "groups-in-blocks"])
def test_checkpointing_changes_nothing(name):
    case = CASES[name]
    layer, _ = _layers(case)
    operands = _operands(case)
    rematerialized = jax.grad(jax.checkpoint(_loss(layer)), argnums=(0, 1))
    _assert_equal(jax.jit(rematerialized)(*operands), jax.jit(_gradient(layer))(*operands))


@pytest.mark.parametrize("name", ["explicit", "both-dilated-s2", "depthwise", "groups"])
def test_bfloat16_is_kept_and_as_accurate_as_xlas_own(name):
    case = CASES[name]
    params, x = _operands(case)
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), (params, x))
    exact = jax.tree.map(lambda a: a.astype(jnp.float64), half)
    ours, theirs = _layers(case, dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)
    value = jax.jit(lambda p, x: ours.apply({"params": p}, x))(*half)
    assert value.dtype == jnp.bfloat16
    gradients = jax.jit(_gradient(ours))(*half)
    reference = jax.jit(_gradient(_layers(case)[1]))(*exact)
    of_xla = jax.jit(_gradient(theirs))(*half)
    for got, true, xla, given in zip(
        *map(jax.tree.leaves, (gradients, reference, of_xla, half)), strict=True
    ):
        assert got.dtype == given.dtype == jnp.bfloat16
        error = jnp.linalg.norm(got - true) / jnp.linalg.norm(true)
        error_of_xla = jnp.linalg.norm(xla - true) / jnp.linalg.norm(true)
        # 2**-8 is the rounding of the result itself.
        assert error <= 1.1 * error_of_xla + 2**-8


@pytest.mark.parametrize("groups", [1, 2])
def test_preferred_element_type_is_that_of_the_value_only(groups):
    case = Case((5, 6), (3, 3), channels=4, features=4, groups=groups)
    params, x = jax.tree.map(lambda a: a.astype(jnp.bfloat16), _operands(case))

    def gradients(convolve, **arguments):
        def loss(x, kernel):
            y = convolve(
                x, kernel, (2, 1), "SAME", None, None, ("NHWC", "HWIO", "NHWC"), groups, **arguments
            )  # fmt: skip
            assert y.dtype == jnp.float32
            return jnp.sin(y).sum()

        return jax.jit(jax.grad(loss, argnums=(0, 1)))

    ours = gradients(canonical_convolution, preferred_element_type=jnp.float32)(x, params["kernel"])
    assert all(g.dtype == jnp.bfloat16 for g in ours)
    # Not XLA's own with the same argument: JAX before 0.8 cannot differentiate it.
    wide = jax.tree.map(jnp.float32, (x, params["kernel"]))
    theirs = gradients(lax.conv_general_dilated)(*wide)
    # 2**-8 is the rounding of the result to bfloat16.
    _assert_equal(jax.tree.map(jnp.float32, ours), theirs, rtol=2**-8, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 5, 5, 2), (2, 1, 5, 2)], ids=["no-image", "no-output"])
def test_gradients_of_an_empty_result_are_zero(shape):
    layer = Conv(3, (3, 3), padding="VALID", backward="canonical")
    params = jax.jit(layer.init)(jax.random.key(0), jnp.zeros((1, 5, 5, 2)))["params"]
    gradients = jax.jit(_gradient(layer))(params, jnp.zeros(shape))
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradients))
    assert gradients[1].shape == shape


@pytest.mark.parametrize("shape", [(5, 6, 2), (2, 3, 5, 6, 2)])
def test_no_or_many_batch_axes(shape):
    ours, theirs = _layers(Case((5, 6), (3, 3)))
    params, _ = _operands(Case((5, 6), (3, 3)))
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape))
    _assert_equal(jax.jit(_gradient(ours))(params, x), jax.jit(_gradient(theirs))(params, x))


@pytest.mark.parametrize("backward", ["auto", "canonical", "xla"])
@pytest.mark.parametrize("groups", [1, 2])
def test_parameters_are_those_of_flax(backward, groups):
    arguments = {"features": 4, "kernel_size": (3, 3), "feature_group_count": groups}
    x = jnp.ones((1, 5, 5, 4), jnp.float32)
    ours = jax.jit(Conv(**arguments, backward=backward).init)(jax.random.key(3), x)
    theirs = jax.jit(nn.Conv(**arguments).init)(jax.random.key(3), x)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), ours, theirs))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("backward", ["auto", "canonical", "xla"])
def test_the_platform_of_the_program_decides_unless_told(backward, platform, groups):
    x, key = jnp.ones((1, 5, 5, 2)), jax.random.key(0)

    def program(backward):
        layer = Conv(4, (3, 3), feature_group_count=groups, backward=backward)
        params = layer.init(key, x)
        step = jax.jit(jax.grad(lambda params, x: layer.apply(params, x).sum(), (0, 1)))
        text = step.trace(params, x).lower(lowering_platforms=(platform,)).as_text()
        return re.findall(r"stablehlo.convolution.*", text)

    expected = ("canonical" if platform == "cpu" else "xla") if backward == "auto" else backward
    found = [re.sub(r"%\w+", "", line) for line in program(backward)]
    assert found == [re.sub(r"%\w+", "", line) for line in program(expected)]
    assert program("canonical") != program("xla")


def test_equal_layers_are_equal_and_a_clone_may_change_its_backward():
    layer = Conv(3, (3, 3))
    assert layer == Conv(3, (3, 3))
    assert hash(layer) == hash(Conv(3, (3, 3)))
    assert layer.clone(backward="xla") == Conv(3, (3, 3), backward="xla")

    def own(*args, **kwargs):
        return lax.conv_general_dilated(*args, **kwargs)

    assert Conv(3, (3, 3), conv_general_dilated=own).conv_general_dilated is own


def test_unknown_backward_names_it_and_the_known():
    with pytest.raises(
        ValueError, match=r"'canonic'.*did you mean 'canonical'.*auto, canonical, xla"
    ):
        Conv(3, (3, 3), backward="canonic")


def test_forward_mode_is_refused_or_xlas_own():
    params, x = _operands(Case((5, 6), (3, 3)))
    ours, theirs = _layers(Case((5, 6), (3, 3)))
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda x: ours.apply({"params": params}, x), (x,), (x,))
    own = ours.clone(backward="xla")
    products = [
        jax.jvp(lambda x, m=m: m.apply({"params": params}, x), (x,), (x,)) for m in (own, theirs)
    ]
    _assert_equal(*products)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"dimension_numbers": ("NCHW", "OIHW", "NCHW")}, "NCHW"),
        ({"dimension_numbers": None}, "None"),
        ({"padding": "SAME", "lhs_dilation": (2, 2)}, "'SAME'"),
    ],
)
def test_what_it_cannot_do_is_refused(arguments, match):
    arguments = {"padding": "VALID", "dimension_numbers": ("NHWC", "HWIO", "NHWC"), **arguments}
    with pytest.raises(ValueError, match=match):
        canonical_convolution(jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 2)), (1, 1), **arguments)
