"""All that one run trains, evaluates and keeps: objects and functions, ready to compile."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_lab.core.declare import Keeps
from jaxopt_lab.core.metrics import as_held_out, as_trained, measure_of
from jaxopt_lab.core.types import Batch, ModelState, Params, Schedule, Split, Whole
from jaxopt_lab.engine.batches import Batches
from jaxopt_lab.engine.curvature import CurvatureOf
from jaxopt_lab.engine.devices import whole_beside
from jaxopt_lab.engine.evaluation import Evaluate, in_batches
from jaxopt_lab.engine.forward import Forward
from jaxopt_lab.engine.frozen import Frozen
from jaxopt_lab.engine.gradient import Gradient
from jaxopt_lab.engine.meter import Meter
from jaxopt_lab.engine.objective import MASK, Objective, counted
from jaxopt_lab.engine.probe import Probe
from jaxopt_lab.engine.state import TrainState
from jaxopt_lab.engine.step import Prepare, Step

V = TypeVar("V")


class Experiment(NamedTuple):
    """What a configuration means; `config.build` makes it.

    Attributes:
      train, validation, test: raw splits on the host; `validation` may be None.
      train_sample: as many samples of `train` as `validation` has, which are evaluated with it, so
        that the two can be compared; None where there is no validation.
      classes: names of the classes; empty where the targets are numbers.
      seed: of the run.
      forward: the model.
      frozen: what of it stays as it is.
      optimizer: the whole chain.
      eval_params: `(opt_state, params) -> params` to evaluate: not those of training with some
        optimizers.
      watched_params: the same of evaluations on the way, which a run may have of an average.
      watches: what that average is called; None where it is `eval_params`.
      learning_rate: `step -> scalar` of the schedule; None where the optimizer takes no rate.
      objective: what is minimized, and `{"accuracy": (outputs, labels) -> (B,), ...}` beside it.
      whole: metrics of a whole split, those that are arrays too.
      curvature: `(state, batch) -> Curvature`, where the optimizer asks for it.
      init: `key -> TrainState`, pure.
      step: `(state, batch) -> (state, metrics)`, pure.
      gave_up: `opt_state -> int32 scalar`, at how many steps in a row that were not finite the run
        has stopped, or 0; None for never.
      prepare, gradient, microbatches: what a step is made of, to look into one.
      probe: what else is measured, every so many steps; None for nothing.
      meter: what is measured of every so many steps themselves; None for nothing.
      evaluator: `(in_loop, forward, attacked=True, final=False) -> evaluate(params, model_state,
        batches)`; whether robust metrics are measured too, where the configuration has an
        adversary, and whether metrics that are arrays are.
      robust: whether the configuration has an adversary.
      keeps: what the controls keep; the last of them is what the run ends with.
      members: `opt_state -> (stacked params, how many)` of an ensemble; None where there is none.
      pool: the members' outputs (M, B, K) as those of their ensemble, (B, K).
      drawn: how batches are.
      evaluation_batch_size: rows of a batch of evaluation, at most.
      steps_per_dispatch: the most steps of one dispatch; None for the engine to choose.
      fusions: of `engine.fusions`, to compile with; None for the engine to choose.
      steps_per_epoch, total_steps, evaluate_every, checkpoint_every: in steps.
    """

    train: Split
    validation: Split | None
    test: Split
    train_sample: Split | None
    classes: tuple[str, ...]
    seed: int
    forward: Forward
    frozen: Frozen
    optimizer: optax.GradientTransformationExtraArgs
    eval_params: Callable[[Any, Params], Params]
    watched_params: Callable[[Any, Params], Params]
    watches: str | None
    learning_rate: Schedule | None
    objective: Objective
    whole: Mapping[str, Whole]
    curvature: CurvatureOf | None
    init: Callable[[jax.Array], TrainState]
    step: Step
    gave_up: Callable[[Any], jax.Array] | None
    prepare: Prepare | None
    gradient: Gradient
    microbatches: int
    probe: Probe | None
    meter: Meter | None
    evaluator: Callable[..., Evaluate]
    robust: bool
    keeps: tuple[Keeps, ...]
    members: Callable[[Any], tuple[Params, jax.Array]] | None
    pool: Callable[[jax.Array], jax.Array]
    drawn: Batches
    evaluation_batch_size: int
    steps_per_dispatch: int | None
    fusions: str | None
    steps_per_epoch: int
    total_steps: int
    evaluate_every: int
    checkpoint_every: int

    @property
    def batch_size(self) -> int:
        """Rows a step."""
        return self.drawn.size

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

    def scores(self, outputs: jax.Array, split: Batch) -> dict[str, jax.Array]:
        """The loss and all metrics of outputs (N, ...) that are there, as the evaluator has them.

        Args:
          outputs: in evaluation mode.
          split: what they are of: `y`, and perhaps `weight`.
        """
        whole = split | {MASK: jnp.ones(len(outputs))}
        sums, weight = self.objective.sums(outputs, whole), counted(whole)
        assert weight is not None
        measured = {k: metric(outputs, whole["y"], weight) for k, metric in self.whole.items()}
        return {name: value / by for name, (value, by) in sums.items()} | measured

    def in_order(self, scores: Mapping[str, V]) -> dict[str, V]:
        """Scores of a split in the configuration's order; a compiled function sorts them."""
        names = ["loss", *self.objective.measures, *self.whole]
        return dict(sorted(scores.items(), key=lambda item: names.index(measure_of(item[0]))))

    def predict(self, params: Params, model_state: ModelState) -> np.ndarray:
        """The outputs (N, ...) for the test split in evaluation mode, on the host.

        Every process that shares the parameters calls this.
        """
        evaluate = jax.jit(self.forward.evaluate, out_shardings=whole_beside(params))
        batches = self.batches(self.test)
        parts = [np.asarray(evaluate(params, model_state, x)) for x in batches["x"]]
        return np.concatenate(parts)[: len(self.test["y"])]

    @property
    def kept(self) -> str:
        """Which parameters the run ends with: "best", "average" and so on, or "last"."""
        return self.keeps[-1].name if self.keeps else "last"

    @property
    def keeps_judged(self) -> bool:
        """Whether these are parameters that an evaluation chose."""
        return bool(self.keeps) and self.keeps[-1].judged
