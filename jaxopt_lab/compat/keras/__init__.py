"""Keras 3's optimizers and callbacks: the same arguments and defaults, the same trajectory.

Around its own step, each optimizer has what all Keras optimizers have:

  weight_decay: lambda >= 0 or None; decoupled, scaled by the rate, of every parameter.
  clipnorm, clipvalue, global_clipnorm: the largest norm of each tensor's gradient, absolute value,
    norm of all gradients together; at most one of the three.
  use_ema, ema_momentum: keep an average of the parameters, as `state.average`.
  ema_overwrite_frequency: every how many steps the average becomes the parameters. It is right
    only where nothing follows in the chain.
  decay: of Keras before 2.11, eta / (1 + decay t). Keras 3 ignores it.
  exclude_from_weight_decay: of Keras' method of that name: a pytree of bools or a function
    `params -> pytree of bools`, True where a parameter does not decay.

What a pure transformation cannot be is not here: the overwriting at the end of `fit`
(take `state.average`), `gradient_accumulation_steps` (wrap in `optax.MultiSteps`),
`loss_scale_factor`, and `name`.
"""

from jaxopt_lab.compat.keras._adadelta import Adadelta
from jaxopt_lab.compat.keras._adagrad import Adagrad
from jaxopt_lab.compat.keras._adam import Adam
from jaxopt_lab.compat.keras._adamw import AdamW
from jaxopt_lab.compat.keras._early_stopping import EarlyStopping
from jaxopt_lab.compat.keras._nadam import Nadam
from jaxopt_lab.compat.keras._reduce_lr_on_plateau import ReduceLROnPlateau
from jaxopt_lab.compat.keras._rmsprop import RMSprop
from jaxopt_lab.compat.keras._sgd import SGD
from jaxopt_lab.compat.keras.optimizer import KerasState

OPTIMIZERS = {f.__name__: f for f in (SGD, RMSprop, Adagrad, Adadelta, Adam, AdamW, Nadam)}

CALLBACKS = {f.__name__: f for f in (ReduceLROnPlateau, EarlyStopping)}

__all__ = [
    "CALLBACKS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "EarlyStopping",
    "KerasState",
    "Nadam",
    "RMSprop",
    "ReduceLROnPlateau",
]
