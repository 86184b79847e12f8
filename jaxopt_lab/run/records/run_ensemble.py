"""Several networks that predict together: the snapshots of one run, or the runs of a sweep."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.tree import stack_trees
from jaxopt_lab.core.types import ModelState, Params
from jaxopt_lab.run.records.predictor import Predictor
from jaxopt_lab.run.records.run_fragment import ensemble_fragment, ensemble_words

Evaluate = Callable[[Params, ModelState, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class RunEnsemble(Predictor):
    """The members' outputs, pooled as the run's loss says: of a softmax the logarithm of their mean
    probability.

    `params` and `model_state` hold the members' by their structure, stacked: several networks of
    one structure are applied at once.

    Attributes:
      size: how many members.
    """

    size: int
    evaluates: tuple[Evaluate, ...]

    @property
    def evaluate(self) -> Evaluate:
        """As of `Predictor`."""

        def evaluate(params, model_state, x):
            groups = zip(self.evaluates, params, model_state, strict=True)
            outputs = [jax.vmap(of_one, (0, 0, None))(p, s, x) for of_one, p, s in groups]
            return self.experiment.pool(jnp.concatenate(outputs))

        return evaluate

    def __repr__(self) -> str:
        return ensemble_words(self)

    def _repr_html_(self) -> str:
        return ensemble_fragment(self)


def snapshots_of(run: Predictor, params: Params, model_state: ModelState, size: int) -> RunEnsemble:
    """The snapshots of a run, stacked, as an ensemble."""
    return _ensemble(
        run,
        f"{size} snapshots of the run",
        size,
        {"": (run.evaluate, params, model_state)},
    )


def ensemble_of(runs: Sequence[Predictor], why: str) -> RunEnsemble:
    """Trained runs as an ensemble.

    Raises:
      InputError: where they were not trained by one loss, on one kind of samples.
    """
    first = runs[0]
    for run in runs:
        for what in ("x_shape", "x_dtype", "classes", "columns", "targets", "y_shape"):
            if getattr(run.signature, what) != getattr(first.signature, what):
                raise InputError(f"ensemble: the members' data differ in {what}")
        if run.config.loss != first.config.loss:
            raise InputError("ensemble: the members' losses differ, whose outputs do not pool")
    groups: dict[str, list[Predictor]] = {}
    for run in runs:
        shapes = jax.tree.map(jnp.shape, (run.params, run.model_state))
        key = repr((run.config.model, run.config.data, run.config.train.dtype, shapes))
        groups.setdefault(key, []).append(run)
    return _ensemble(
        first,
        why,
        len(runs),
        {
            key: (
                members[0].evaluate,
                stack_trees([m.params for m in members]),
                stack_trees([m.model_state for m in members]),
            )
            for key, members in groups.items()
        },
    )


def _ensemble(run: Predictor, why: str, size: int, groups: dict) -> RunEnsemble:
    evaluates, params, states = zip(*groups.values(), strict=True)
    return RunEnsemble(
        config=run.config,
        signature=run.signature,
        params=params,
        model_state=states,
        kept="ensemble",
        why=why,
        experiment=run.experiment,
        size=size,
        evaluates=evaluates,
    )
