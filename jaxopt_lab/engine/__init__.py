"""Training: state, step, loop, evaluation, checkpoint. Objects and callables in, never names."""

from jaxopt_lab.engine._fit import Chunk, fit
from jaxopt_lab.engine._read_controls import read_controls
from jaxopt_lab.engine._slow_in_loop import has_convolution
from jaxopt_lab.engine.compilation import jit_once
from jaxopt_lab.engine.curvature import make_curvature
from jaxopt_lab.engine.ensemble import Ensemble, ensemble_predict
from jaxopt_lab.engine.evaluation import in_batches, make_evaluate
from jaxopt_lab.engine.loop import batch_shapes, make_run_steps
from jaxopt_lab.engine.normalize import channel_statistics, make_normalize
from jaxopt_lab.engine.program import Program, compile_program, fits_on_device
from jaxopt_lab.engine.state import TrainState, init_state, with_evaluation
from jaxopt_lab.engine.statistics import reestimate_statistics
from jaxopt_lab.engine.step import Step, make_step

__all__ = [
    "Chunk",
    "Ensemble",
    "Program",
    "Step",
    "TrainState",
    "batch_shapes",
    "channel_statistics",
    "compile_program",
    "ensemble_predict",
    "fit",
    "fits_on_device",
    "has_convolution",
    "in_batches",
    "init_state",
    "jit_once",
    "make_curvature",
    "make_evaluate",
    "make_normalize",
    "make_run_steps",
    "make_step",
    "read_controls",
    "reestimate_statistics",
    "with_evaluation",
]
