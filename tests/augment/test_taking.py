"""What a TPU's program takes by matrix products equals what others gather, to the bit."""

import cases
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxopt_lab.augment import AUGMENTATIONS, batched

ALIKE = (
    *("random_crop", "random_flip", "random_translate", "random_equalize"),
    *("random_autocontrast", "rand_augment", "augmix"),
)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bfloat16"])
@pytest.mark.parametrize("name", ALIKE)
def test_the_form_of_a_tpu_gives_the_same_pixels(name, dtype, monkeypatch):
    op = batched(AUGMENTATIONS[name](**cases.AUGMENTATIONS[name]))
    bytes_ = jax.random.randint(jax.random.key(0), (6, 9, 8, 3), 0, 256)
    images = bytes_.astype("uint8") if dtype == "uint8" else (bytes_ / 255).astype(dtype)
    expected = jax.jit(op)(jax.random.key(1), images)
    used = []

    def as_on_a_tpu(*args, tpu=None, default=None, **others):
        used.append(tpu is not None)
        return (tpu or default)(*args)

    monkeypatch.setattr(lax, "platform_dependent", as_on_a_tpu)
    found = jax.jit(lambda key, images: op(key, images))(jax.random.key(1), images)
    np.testing.assert_array_equal(found, expected)
    assert any(used)


def test_whole_numbers_that_are_no_bytes_are_gathered():
    mask = jnp.arange(36).reshape(6, 6, 1) * 50_000_001  # not exact in float32
    crop = batched(AUGMENTATIONS["random_crop"](padding=2))
    text = jax.jit(crop).trace(jax.random.key(0), mask[None]).lower(lowering_platforms=("tpu",))
    assert "dot_general" not in text.as_text()
