"""What the libraries compute under one name differs, and the records see every difference.

Each line is a recorded case, and the form that it would be with the named difference undone: that
form must miss the record by far more than the tolerance of `test_against_records`.
"""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from references.network import CASES, difference, falling, path, recorded

from jaxopt_lab import optimizers
from jaxopt_lab.compat import keras, torch
from jaxopt_lab.compat.torch.optimizer import torch_optimizer


def case(library, name, **wanted):
    """The one recorded case with these arguments; `draw` counts the random ones of a name."""
    flag, draw = wanted.pop("falling", None), wanted.pop("draw", None)
    found = []
    for i, c in enumerate(CASES[library]):
        same = c["name"] == name and (flag is None or c["falling"] == flag)
        if same and (wanted == c["arguments"] or draw is not None):
            found.append(i)
    i = found[-3 + draw] if draw is not None else found[0]
    return CASES[library][i]["arguments"], recorded(library)[i]


def keras_epsilon_hat():
    _, record = case("keras", "Adam", learning_rate=0.02, epsilon=1e-3)
    return optimizers.adam(0.02, eps=1e-3), record


def torch_epsilon_after_the_correction():
    _, record = case("torch", "Adam", lr=0.02, eps=1e-3)
    return keras.Adam(0.02, epsilon=1e-3), record


def torch_rmsprop_epsilon_outside():
    a, record = case("torch", "RMSprop", lr=0.01, eps=1e-3, centered=True)
    return optimizers.rmsprop(a["lr"], 0.99, a["eps"], centered=True), record


def torch_adagrad_epsilon_outside():
    _, record = case("torch", "Adagrad", lr=0.1, eps=1e-2)
    return optimizers.adagrad(0.1, 1e-2), record


def keras_adagrad_starts_at_a_tenth():
    _, record = case("keras", "Adagrad")
    return optimizers.adagrad(1e-3, 1e-7), record


def torch_adagrad_starts_at_zero():
    _, record = case("torch", "Adagrad")
    return torch.Adagrad(initial_accumulator_value=0.1), record


def keras_momentum_holds_the_rate():
    _, record = case("keras", "SGD", learning_rate=0.05, momentum=0.9)
    return optimizers.momentum(falling(0.05), 0.9, rate_inside=False), record


def torch_momentum_does_not():
    _, record = case("torch", "SGD", lr=0.05, momentum=0.9)
    return optimizers.momentum(falling(0.05), 0.9), record


def torch_nesterov_does_not():
    _, record = case("torch", "SGD", lr=0.05, momentum=0.9, nesterov=True, falling=True)
    return optimizers.nesterov(falling(0.05), 0.9), record


def keras_rmsprop_momentum_holds_the_rate():
    _, record = case("keras", "RMSprop", learning_rate=0.01, epsilon=1e-3, momentum=0.9)
    # w <- beta w + g / sqrt(E + eps), theta <- theta - eta w: the rate outside.
    scale = optax.chain(optimizers.rmsprop(1.0, 0.9, 1e-3), optax.scale(-1.0))
    return optax.chain(scale, optimizers.momentum(falling(0.01), 0.9, rate_inside=False)), record


def keras_nadam_psi_is_one():
    _, record = case("keras", "Nadam")
    return optimizers.nadam(1e-3, eps=1e-7), record


def torch_nadam_psi_is_small():
    _, record = case("torch", "NAdam")
    return torch.NAdam(momentum_decay=1.0), record


def nadam_has_a_momentum_schedule():
    _, record = case("torch", "NAdam")
    return torch.NAdam(momentum_decay=1e6), record


def torch_sgd_first_velocity_is_the_gradient():
    a, record = case("torch", "SGD", draw=0)
    share = 1 - a["dampening"]
    other = optimizers.momentum(a["lr"] * share, a["momentum"], rate_inside=False)
    decay = a["weight_decay"]
    return torch_optimizer("SGD", other, maximize=False, weight_decay=decay), record


def torch_adam_decays_in_the_gradient():
    a, record = case("torch", "Adam", draw=0)
    return torch.AdamW(**a), record


def torch_adamw_decays_beside_it():
    a, record = case("torch", "AdamW", draw=0)
    return torch.Adam(**a), record


def torch_decays_every_parameter():
    a, record = case("torch", "AdamW", draw=0)
    masked = optimizers.adamw(a["lr"], *a["betas"], a["eps"], weight_decay=a["weight_decay"])
    return masked, record


def keras_decays_every_parameter():
    a, record = case("keras", "AdamW", draw=0)
    biases = {"w1": False, "b1": True, "w2": False, "b2": True}
    return keras.AdamW(**a, exclude_from_weight_decay=biases), record


def keras_clipnorm_is_of_each_tensor():
    _, record = case("keras", "SGD", learning_rate=0.1, momentum=0.8, clipnorm=0.1)
    return keras.SGD(0.1, 0.8, global_clipnorm=0.1), record


def keras_clips_before_its_step():
    a, record = case("keras", "SGD", learning_rate=0.1, momentum=0.8, clipvalue=0.05)
    return keras.SGD(a["learning_rate"], a["momentum"]), record


def amsgrad_keeps_the_largest():
    _, record = case("torch", "Adam", lr=0.02, betas=[0.9, 0.9], amsgrad=True, weight_decay=0.05)
    return torch.Adam(0.02, (0.9, 0.9), weight_decay=0.05), record


def keras_decay_is_inverse_time():
    _, record = case("keras", "SGD", learning_rate=0.1, momentum=0.9, decay=0.02)
    return keras.SGD(lambda t: 0.1 * 0.98**t, 0.9), record


def adadelta_averages_the_step_without_the_rate():
    a, record = case("keras", "Adadelta", draw=0)
    rate = a["learning_rate"]
    return torch.Adadelta(1.0, a["rho"], a["epsilon"] * rate**2), record


DIFFERENCES = [
    keras_epsilon_hat,
    torch_epsilon_after_the_correction,
    torch_rmsprop_epsilon_outside,
    torch_adagrad_epsilon_outside,
    keras_adagrad_starts_at_a_tenth,
    torch_adagrad_starts_at_zero,
    keras_momentum_holds_the_rate,
    torch_momentum_does_not,
    torch_nesterov_does_not,
    keras_rmsprop_momentum_holds_the_rate,
    keras_nadam_psi_is_one,
    torch_nadam_psi_is_small,
    nadam_has_a_momentum_schedule,
    torch_sgd_first_velocity_is_the_gradient,
    torch_adam_decays_in_the_gradient,
    torch_adamw_decays_beside_it,
    torch_decays_every_parameter,
    keras_decays_every_parameter,
    keras_clipnorm_is_of_each_tensor,
    keras_clips_before_its_step,
    amsgrad_keeps_the_largest,
    keras_decay_is_inverse_time,
    adadelta_averages_the_step_without_the_rate,
]


@pytest.mark.parametrize("undone", DIFFERENCES, ids=lambda f: f.__name__)
def test_the_record_sees(undone):
    tx, record = undone()
    found = path(tx)
    assert np.isfinite(found).all()
    assert difference(found, record) > 1e-4


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_keras_clips_a_gradient_whose_squares_overflow(clip):
    """Keras gives zeros."""
    g, tx = jnp.array([3e20, 4e20]), keras.SGD(1.0, **{clip: 1.0})
    np.testing.assert_allclose(tx.update(g, tx.init(g))[0], [-0.6, -0.8], rtol=1e-6)
