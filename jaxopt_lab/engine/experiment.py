"""All that one run trains, evaluates and keeps: objects and functions, ready to compile."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from jaxopt_lab.core.declare import Keeps
from jaxopt_lab.core.metrics import as_held_out, as_trained
from jaxopt_lab.core.types import Loss, Measure, Params, Schedule, Split
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.engine.evaluation import Evaluate, in_batches
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.probe import Probe
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Step


class Experiment(NamedTuple):
    """What a configuration means; `config.build` makes it.

    Attributes:
      train, validation, test: raw splits on the host; `validation` may be None.
      train_sample: as many samples of `train` as `validation` has, which are evaluated with it, so
        that the two can be compared; None where there is no validation.
      classes: names of the classes; empty where the targets are numbers.
      seed: of the run.
      forward: the model.
      optimizer: the whole chain.
      eval_params: `(opt_state, params) -> params` to evaluate: not those of training with some
        optimizers.
      learning_rate: `step -> scalar` of the schedule; None where the optimizer takes no rate.
      loss: `(outputs, labels) -> (B,)`, without penalties.
      measures: what is measured beside it, `{"accuracy": (outputs, labels) -> (B,), ...}`.
      curvature: `(state, batch) -> Curvature`, where the optimizer asks for it.
      init: `key -> TrainState`, pure.
      step: `(state, batch) -> (state, metrics)`, pure.
      probe: what else is measured, every so many steps; None for nothing.
      evaluator: `(in_loop, forward, attacked=True) -> evaluate(params, model_state, batches)`;
        whether robust metrics are measured too, where the configuration has an adversary.
      robust: whether the configuration has an adversary.
      keeps: what the controls keep; the last of them is what the run ends with.
      members: `opt_state -> (stacked params, how many)` of an ensemble; None where there is none.
      pool: the members' outputs (M, B, K) as those of their ensemble, (B, K).
      batch_size: rows a step.
      evaluation_batch_size: rows of a batch of evaluation, at most.
      bootstrap: whether the run trains on its own resample of the training split.
      steps_per_dispatch: the most steps of one dispatch; None for the engine to choose.
      steps_per_epoch, total_steps, evaluate_every, checkpoint_every: in steps.
    """

    train: Split
    validation: Split | None
    test: Split
    train_sample: Split | None
    classes: tuple[str, ...]
    seed: int
    forward: Forward
    optimizer: optax.GradientTransformationExtraArgs
    eval_params: Callable[[Any, Params], Params]
    learning_rate: Schedule | None
    loss: Loss
    measures: Mapping[str, Measure]
    curvature: CurvatureOf | None
    init: Callable[[jax.Array], TrainState]
    step: Step
    probe: Probe | None
    evaluator: Callable[..., Evaluate]
    robust: bool
    keeps: tuple[Keeps, ...]
    members: Callable[[Any], tuple[Params, jax.Array]] | None
    pool: Callable[[jax.Array], jax.Array]
    batch_size: int
    evaluation_batch_size: int
    bootstrap: bool
    steps_per_dispatch: int | None
    steps_per_epoch: int
    total_steps: int
    evaluate_every: int
    checkpoint_every: int

    def batches(self, split: Split) -> Split:
        """A split as its evaluation wants it."""
        return in_batches(split, min(self.evaluation_batch_size, len(split["y"])))

    def evaluated(self) -> tuple[Split, Split] | None:
        """The batches of validation and of the sample of training; None without validation."""
        if self.validation is None or self.train_sample is None:
            return None
        return self.batches(self.validation), self.batches(self.train_sample)

    def evaluate_both(self, in_loop: bool) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
        """What measures a run as it trains.

        Args:
          in_loop: as of `evaluator`.

        Returns:
          `(params, model_state, batches) -> ({"val_loss": ...}, {"train_loss": ...})`, with
          `batches` as of `evaluated`. The same weights see both in evaluation mode, which metrics
          of a step, in training mode on augmented samples, cannot be compared with.
        """
        of_held_out = self.evaluator(in_loop, self.forward)
        of_trained = of_held_out  # compiled once for both
        if self.robust:
            of_trained = self.evaluator(in_loop, self.forward, attacked=False)

        def evaluate(params, model_state, batches):
            held_out, trained = batches
            return (
                as_held_out(of_held_out(params, model_state, held_out)),
                as_trained(of_trained(params, model_state, trained)),
            )

        return evaluate

    @property
    def kept(self) -> str:
        """Which parameters the run ends with: "best", "average" and so on, or "last"."""
        return self.keeps[-1].name if self.keeps else "last"

    @property
    def keeps_judged(self) -> bool:
        """Whether these are parameters that an evaluation chose."""
        return bool(self.keeps) and self.keeps[-1].judged
