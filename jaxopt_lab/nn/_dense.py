"""`Dense`: Flax's dense layer with weight standardization."""

import flax.linen as nn

from jaxopt_lab.nn.checked_module import check_fields
from jaxopt_lab.nn.weight_standardization import StandardizedKernel, WeightStandardization


class Dense(StandardizedKernel, nn.Dense):
    """`flax.linen.Dense` with the option of weight standardization.

        y = x w + b

    Args:
      weight_standardization: "none"; "standard" for `standardize(w)` in place of w; "scaled" for
        `scaled_standardize(w, gain)`. The parameter "kernel" stays w.
      features, use_bias, kernel_init, ...: those of `flax.linen.Dense`.

    Call:
      inputs: (..., I), floating.

    Returns:
      (..., features).

    Raises:
      ArgumentError: for an unknown `weight_standardization`.

    Reference: see `standardize` and `scaled_standardize`.
    """

    weight_standardization: WeightStandardization = "none"

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()
