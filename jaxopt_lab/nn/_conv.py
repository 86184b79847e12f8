"""`Conv`: Flax's convolution layer with gradients that are fast in a compiled loop on CPU."""

from typing import Any, Literal

import flax.linen as nn
from jax import lax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.registry import nearest
from jaxopt_lab.nn.checked_module import check_fields
from jaxopt_lab.nn.convolution import canonical_convolution
from jaxopt_lab.nn.convolution_by_platform import convolution_by_platform
from jaxopt_lab.nn.weight_standardization import StandardizedKernel, WeightStandardization

Backward = Literal["auto", "canonical", "xla"]


# Module-level functions, so that two equal layers compare equal and are traced once.
_CONVOLUTIONS: dict[str, Any] = {
    "auto": convolution_by_platform,
    "canonical": canonical_convolution,
    "xla": lax.conv_general_dilated,
}


class Conv(StandardizedKernel, nn.Conv):
    """`flax.linen.Conv` whose gradients are fast inside a compiled loop on CPU.

    Use it wherever a network is trained in `lax.scan` or `fori_loop`, as the engine does: there
    XLA's CPU backend computes the gradients of a plain convolution 2 to 40 times slower than
    outside a loop. Parameters (`kernel`, `bias`), their initial values and the result are those of
    `flax.linen.Conv`, so a checkpoint fits either.

        y[b, t, o] = bias[o] + sum_{k, c} x[b, stride t + dilation k - padding, c] kernel[k, c, o]

    Args:
      backward: "canonical" takes forward convolutions in XLA's fast layout, "xla" takes XLA's own,
        and "auto" the first in a program for a CPU and the other elsewhere. Only "xla" has forward
        mode; with the others `jax.jvp` raises.
        A `conv_general_dilated` of the user's own takes precedence over it.
      weight_standardization: "none"; "standard" for `standardize(kernel)` in place of the kernel;
        "scaled" for `scaled_standardize(kernel, gain)`. The parameter "kernel" stays the raw one.
      features, kernel_size, strides, padding, ...: those of `flax.linen.Conv`.

    Call:
      inputs: (*batch, *spatial, C), floating, with as many spatial axes as `kernel_size`.

    Returns:
      (*batch, *spatial', features).

    Raises:
      InputError: (a ValueError) for an unknown `backward` or `weight_standardization`.

    Differs from:
      `flax.linen.Conv`: the backward pass on CPU. With `feature_group_count` > 1 the result there
      agrees up to rounding, not bit for bit.
    """

    backward: Backward = "auto"
    weight_standardization: WeightStandardization = "none"
    conv_general_dilated: Any = None

    def __post_init__(self) -> None:
        if self.backward not in _CONVOLUTIONS:
            raise InputError(
                f"Conv: unknown backward {self.backward!r}"
                f"{nearest(str(self.backward), _CONVOLUTIONS)} Known: {', '.join(_CONVOLUTIONS)}."
            )
        check_fields(self)
        # A clone brings along the function chosen before, which another `backward` replaces.
        known = (None, *_CONVOLUTIONS.values())
        if any(self.conv_general_dilated is function for function in known):
            self.conv_general_dilated = _CONVOLUTIONS[self.backward]
        super().__post_init__()
