"""Matrix-free linear algebra on pytrees: products, solves, spectra, and random estimates.

An operator is a function `v -> A v` from a pytree to one of the same structure. Imports `core`
only. Begin with `products.py`: what a Hessian, a Gauss-Newton matrix and a Fisher are here.
"""

from jaxopt_lab.linalg._cg import CGResult, cg
from jaxopt_lab.linalg._cholesky_solve import cholesky_solve
from jaxopt_lab.linalg._lanczos import LanczosResult, lanczos
from jaxopt_lab.linalg._per_example_grads import per_example_grads
from jaxopt_lab.linalg.hutchinson import hutchinson_diag, hutchinson_trace, signs
from jaxopt_lab.linalg.products import (
    Product,
    dense,
    diagonal,
    fisher_operator,
    fisher_vp,
    ggn_operator,
    ggn_vp,
    hessian_operator,
    hvp,
)

__all__ = [
    "CGResult",
    "LanczosResult",
    "Product",
    "cg",
    "cholesky_solve",
    "dense",
    "diagonal",
    "fisher_operator",
    "fisher_vp",
    "ggn_operator",
    "ggn_vp",
    "hessian_operator",
    "hutchinson_diag",
    "hutchinson_trace",
    "hvp",
    "lanczos",
    "per_example_grads",
    "signs",
]
