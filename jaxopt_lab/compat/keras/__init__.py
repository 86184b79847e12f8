"""Keras 3's optimizers and callbacks: the same arguments and defaults, the same trajectory.

Imports `optimizers`, `control` and `core`. Begin with `optimizer.py`: what every Keras optimizer
does around its own step (clipping, decay, the average of the parameters), and `_sgd.py`, a step.

What a pure transformation cannot be is not here: the overwriting at the end of `fit`
(take `state.average`), `gradient_accumulation_steps` (wrap in `control.multi_steps`),
`loss_scale_factor`, and `name`. Complex parameters are refused: Keras has none.
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
