"""Second order: curvature as an argument of ordinary transformations.

Each optimizer of the table is `scale_by_<name>`, which turns a gradient into a direction, followed
by a learning rate. Those that need the extra `curvature` of `update` say so. Imports `core`,
`linalg`, `problems` and `losses` at most. Begin with `curvature.py`, then `_newton.py`; K-FAC is
`capture.py`, `_kron_factors.py`, `_kfac.py`, in this order.
"""

from jaxopt_lab.losses.samplers import bernoulli, categorical, normal
from jaxopt_lab.second_order._block_natural_gradient import (
    block_natural_gradient,
    scale_by_block_natural_gradient,
)
from jaxopt_lab.second_order._diagonal_hessian import diagonal_hessian, scale_by_diagonal_hessian
from jaxopt_lab.second_order._gradient_variance import (
    gradient_noise_scale,
    gradient_variance,
    scale_by_gradient_variance,
)
from jaxopt_lab.second_order._kfac import KfacState, ScaleByKfacState, kfac, scale_by_kfac
from jaxopt_lab.second_order._kron_factors import KronFactors, kron_factors
from jaxopt_lab.second_order._natural_gradient import natural_gradient, scale_by_natural_gradient
from jaxopt_lab.second_order._newton import newton, scale_by_newton
from jaxopt_lab.second_order._newton_cg import newton_cg, scale_by_newton_cg
from jaxopt_lab.second_order._shampoo import scale_by_shampoo, shampoo
from jaxopt_lab.second_order._soap import scale_by_soap, soap
from jaxopt_lab.second_order.curvature import Curvature
from jaxopt_lab.second_order.noise import noise_scale

SECOND_ORDER = {
    f.__name__: f
    for f in (
        newton,
        newton_cg,
        natural_gradient,
        block_natural_gradient,
        diagonal_hessian,
        gradient_variance,
        kfac,
        shampoo,
        soap,
    )
}

__all__ = [
    "SECOND_ORDER",
    "Curvature",
    "KfacState",
    "KronFactors",
    "ScaleByKfacState",
    "bernoulli",
    "block_natural_gradient",
    "categorical",
    "diagonal_hessian",
    "gradient_noise_scale",
    "gradient_variance",
    "kfac",
    "kron_factors",
    "natural_gradient",
    "newton",
    "newton_cg",
    "noise_scale",
    "normal",
    "scale_by_block_natural_gradient",
    "scale_by_diagonal_hessian",
    "scale_by_gradient_variance",
    "scale_by_kfac",
    "scale_by_natural_gradient",
    "scale_by_newton",
    "scale_by_newton_cg",
    "scale_by_shampoo",
    "scale_by_soap",
    "shampoo",
    "soap",
]
