"""The tables of a configuration, one by one; field names are keys, annotations their checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from jaxopt_lab.core.ranges import Count, Duration, FilePath, NonNegative, Positive, Range

BALANCED = "balanced"
MOST_SEED = 2**32 - 1
MOST_DATA_SEED = 2**31 - 1

WITHIN_LOSS = ("consistency", "class_weights")
"""Of a `Config`, what a file has in `[loss]`."""

WITHIN_OPTIMIZER = ("layer_decay",)
"""The same in `[optimizer]`."""

TRACKERS = ("tensorboard", "wandb", "mlflow")
"""Keys of `[log]` that name a tracker."""

LISTS = ("metric", "penalty", "augment", "schedule", "control", "group")
"""[[tables]]; a single one may be written as [table]."""

Length = Annotated[int | str, Range(1), Duration()]


@dataclass(frozen=True)
class Choice:
    """A function of a family's table, by name, and its arguments as the file gives them."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """`[data]`: beside the data set's own arguments.

    Attributes:
      batch_size: rows a step, 1 to the size of the training split, or "full" for all of it.
      test: share of the rows held out for testing, in (0, 1), of a data set without a test split;
        0.15 of it unless given.
      validation: share of the training split held out for validation, in [0, 1).
      seed: of the draws of test and validation, 0 to 2^31 - 1: the same for every seed of a run.
      train_size: how many of the remaining training samples to use; all unless given.
      bootstrap: train on as many samples drawn from them with replacement, by the run's seed.
      reconstruct: whether a sample's target y is its own x, pixels in [0, 1], as of an autoencoder.
        It is flipped, moved, mixed and toned with x, and stays without the noise, the blur and the
        blanks that x is given.
    """

    source: Choice
    batch_size: Count | Literal["full"] = 64
    test: Annotated[float, Range(0, 1, low_open=True, high_open=True)] | None = None
    validation: Annotated[float, Range(0, 1, high_open=True)] = 0.1
    seed: Annotated[int, Range(0, MOST_DATA_SEED)] = 0
    train_size: Count | None = None
    bootstrap: bool = False
    reconstruct: bool = False


@dataclass(frozen=True)
class TrainConfig:
    """`[train]`: how long, and how the work is done. Lengths: steps, "2 epochs" or "10%".

    Attributes:
      epochs: passes over the training split; either this or `steps`.
      steps: training steps.
      microbatches: in how many parts a batch goes through the model, one after another, so that
        its activations take less memory; its gradient stays the same but for batch statistics.
      remat: keep of a forward pass what products and convolutions give, and compute the rest again
        in the backward pass: less memory for more time, the same gradient.
      last_batch: what is left of an epoch after its last full batch: "drop" for the next epoch, in
        another order, or "pad" to a batch of which only these samples count.
      lsuv: start from `nn.lsuv`: every layer's output has variance 1 on the first images.
      dtype: of the computation; parameters and optimizer state are float32 in any case.
      steps_per_dispatch: most steps of one compiled call; "auto" lets the engine choose.
      xla: "auto" compiles for the CPU with YNNPACK's fusions where large convolutions make that
        faster; "default" never. The two differ in rounding.
      evaluate_every: between evaluations on the validation split.
      evaluate_weights: the [[control]] whose average is evaluated, and so watched and kept as the
        best, "weight_ema" for one, in place of what is trained. Where the model has batch
        statistics each evaluation estimates those of the average anew, by passes on up to 100
        batches of training.
      checkpoint_every: between checkpoints; one is saved at the end too.
      checkpoint_seconds: of work that a run may lose where it is killed: one more checkpoint is
        saved where none was for so long. The next replaces it, so that it leaves no trace.
      keep: how many of these checkpoints stay, the newest, or "all"; what a run ends with, such as
        the best, is kept apart from them.
      log_every: steps between rows of the training log.
      evaluation_batch_size: rows of a batch of evaluation.
    """

    epochs: Positive | None = None
    steps: Count | None = None
    microbatches: Count = 1
    remat: bool = False
    last_batch: Literal["drop", "pad"] = "drop"
    lsuv: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    steps_per_dispatch: Count | Literal["auto"] = "auto"
    xla: Literal["auto", "default"] = "auto"
    evaluate_every: Length = "1 epoch"
    evaluate_weights: str | None = None
    checkpoint_every: Length = "10%"
    checkpoint_seconds: Positive = 60.0
    keep: Count | Literal["all"] = 2
    log_every: Count = 1
    evaluation_batch_size: Count = 1000


@dataclass(frozen=True)
class MeshRule:
    """`[[mesh.rule]]`: where the parameters whose path a pattern matches are split.

    Attributes:
      match: a regular expression, searched for in the path, "Dense_0/kernel" for one.
      axes: for each axis of the parameter what splits it: "data", "model", "all" (both) or "none".
    """

    match: str
    axes: Sequence[Literal["data", "model", "all", "none"]]


@dataclass(frozen=True)
class MeshConfig:
    """`[mesh]`: the devices of one run, and what lies where. Statistics are of the whole batch.

    Attributes:
      data: devices that share every batch, or "all" that there are (what `model` leaves of them);
        None for one, with `shard = "full"` for all.
      model: over how many more each of these shares the parameters.
      shard: "none" to copy parameters and the optimizer's state over `data`; "full" to split them
        over all devices, so that none holds more than its part.
      rule: what lies otherwise; the first that matches counts.
    """

    data: Count | Literal["all"] | None = None
    model: Count = 1
    shard: Literal["none", "full"] = "none"
    rule: tuple[MeshRule, ...] = ()

    @property
    def devices(self) -> int | None:
        """How many devices it asks for; None for all that there are."""
        if self.data == "all" or (self.data is None and self.shard == "full"):
            return None
        return (self.data or 1) * self.model


@dataclass(frozen=True)
class GroupConfig:
    """`[[group]]`: parameters that are trained in a way of their own, or not at all.

    Attributes:
      match: a regular expression, searched for in the path of a parameter, "Dense_0/kernel" for
        one; a parameter is of the first group whose pattern it has.
      freeze: keep these, and the batch statistics beside them, as they are.
      learning_rate_scale: a factor on the learning rate.
      weight_decay: in place of the optimizer's.
      optimizer: in place of that of `[optimizer]`, on the same schedule.
    """

    match: str
    freeze: bool = False
    learning_rate_scale: NonNegative = 1.0
    weight_decay: NonNegative | None = None
    optimizer: Choice | None = None


@dataclass(frozen=True)
class TensorBoardConfig:
    """`[log] tensorboard`, a table or `true`: event files in the run's folder.

    Attributes:
      histograms: evaluations between histograms of the parameters; 0 for none.
    """

    histograms: Annotated[int, Range(0)] = 5


@dataclass(frozen=True)
class WandbConfig:
    """`[log] wandb`: a run of Weights & Biases. Its key is its own affair, and in no file here.

    Attributes:
      project: that the run is of.
      mode: "offline" for files in the run's folder alone, or "online" to send them.
      entity: the user or team that has the project; None for W&B's own default.
    """

    project: str
    mode: Literal["offline", "online"] = "offline"
    entity: str | None = None


@dataclass(frozen=True)
class MlflowConfig:
    """`[log] mlflow`: a run in a store of MLflow.

    Attributes:
      uri: of the store, "sqlite:///mlflow.db" or "http://localhost:5000" for one.
      experiment: that the run is of; made where it is not there.
    """

    uri: str
    experiment: str = "jaxopt_lab"


@dataclass(frozen=True)
class LogConfig:
    """`[log]`: what is measured as a run trains, beside its metrics, and who else is told of it.

    Attributes:
      curvature: steps between measurements of the Hessian's largest eigenvalue and of the noise
        scale, on the batch of the step: columns `top_eigenvalue` and `noise_scale`, with nothing in
        the other rows. A measurement costs about 8 steps.
      layers: steps between measurements of the norms of each layer's gradient, update and weights:
        columns `grad_norm/Conv_0`, `update_norm/Conv_0`, `weight_norm/Conv_0` and
        `update_ratio/Conv_0`, which is the second over the third; and `grad_norm` and
        `clipped_grad_norm` of the whole gradient, as it comes and as the optimizer gets it.
      tensorboard, wandb, mlflow: trackers, which leave no trace in the run itself.
    """

    curvature: Count | None = None
    layers: Count | None = None
    tensorboard: TensorBoardConfig | None = None
    wandb: WandbConfig | None = None
    mlflow: MlflowConfig | None = None


@dataclass(frozen=True)
class StartConfig:
    """`[start]`: what the parameters are before the first step, where not drawn.

    Attributes:
      source: `from` in a file: the folder of a run, or a `.safetensors` file.
      which: of a run, "kept" for what it ended with, or "last" for its newest checkpoint.
      step: of a run, the checkpoint of that step.
      rename: `[[pattern, replacement], ...]` or a table: regular expressions, applied in order to
        each name of the arrays there, "Dense_0.kernel" for one.
    """

    source: FilePath
    which: Literal["kept", "last"] = "kept"
    step: Annotated[int | None, Range(0)] = None
    rename: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class LinearConfig:
    """A configuration of `jaxopt-lab linear`; `load.load_linear_config` makes it.

    Attributes:
      data: as in training; its `batch_size` is without effect.
      solver: of `linear.SOLVERS`, without its lambda.
      lam: the lambdas to solve for; empty where the solver takes none.
      features: a map of `linear.FEATURES`.
      seed: of the features that are drawn.
    """

    data: DataConfig
    solver: Choice
    lam: tuple[float, ...] = ()
    features: Choice | None = None
    seed: Annotated[int, Range(0, MOST_SEED)] = 0
