"""Training: state, step, loop, evaluation, checkpoint. Objects and callables in, never names.

It imports `core` alone: the model, the loss and the optimizer are handed in.
Begin with `forward`, `step` and `fit`; an `Experiment` is all that a run needs, `OneRun` runs it.
"""

from jaxopt_lab.engine._fit import Chunk, fit
from jaxopt_lab.engine._gradient_moments import gradient_moments
from jaxopt_lab.engine._one_run import OneRun
from jaxopt_lab.engine._read_controls import read_controls
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.engine.compilation import jit_once
from jaxopt_lab.engine.compiled_steps import (
    CAPACITY,
    CompiledSteps,
    compile_steps,
    fits_on_device,
)
from jaxopt_lab.engine.convolutions import has_convolution
from jaxopt_lab.engine.curvature import make_curvature
from jaxopt_lab.engine.devices import device_mesh, replicated, some_devices
from jaxopt_lab.engine.ensemble import Ensemble, ensemble_predict
from jaxopt_lab.engine.evaluation import in_batches, make_evaluate
from jaxopt_lab.engine.experiment import Experiment
from jaxopt_lab.engine.finishing import Finish, candidates, finish, statistics_of
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.frozen import Frozen
from jaxopt_lab.engine.layout import Layout, Rule, init_sharded
from jaxopt_lab.engine.loop import make_run_steps
from jaxopt_lab.engine.meter import Meter, Seen, given_norm, keep_given_norm
from jaxopt_lab.engine.normalize import channel_statistics, make_normalize
from jaxopt_lab.engine.not_finite import NotFinite, find_not_finite, first_lost_step, make_is_good
from jaxopt_lab.engine.objective import Objective
from jaxopt_lab.engine.probe import Probe
from jaxopt_lab.engine.state import TrainState, init_state, with_evaluation
from jaxopt_lab.engine.statistics import make_reestimate, reestimate_statistics
from jaxopt_lab.engine.step import Step, make_prepare, make_step

__all__ = [
    "CAPACITY",
    "Batches",
    "Chunk",
    "CompiledSteps",
    "Ensemble",
    "Experiment",
    "Finish",
    "Forward",
    "Frozen",
    "Layout",
    "Meter",
    "NotFinite",
    "Objective",
    "OneRun",
    "Probe",
    "Rule",
    "Seen",
    "Step",
    "TrainState",
    "candidates",
    "channel_statistics",
    "compile_steps",
    "device_mesh",
    "ensemble_predict",
    "find_not_finite",
    "finish",
    "first_lost_step",
    "fit",
    "fits_on_device",
    "given_norm",
    "gradient_moments",
    "has_convolution",
    "in_batches",
    "init_sharded",
    "init_state",
    "jit_once",
    "keep_given_norm",
    "make_curvature",
    "make_evaluate",
    "make_is_good",
    "make_normalize",
    "make_prepare",
    "make_reestimate",
    "make_run_steps",
    "make_step",
    "read_controls",
    "reestimate_statistics",
    "replicated",
    "some_devices",
    "statistics_of",
    "with_evaluation",
]
