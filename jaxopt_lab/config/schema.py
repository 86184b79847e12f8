"""What a file holds: the tables of `sections.py`, together a `Config`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar

from jaxopt_lab.config.checks import checked_fields
from jaxopt_lab.config.dump import to_tables, to_toml
from jaxopt_lab.config.highlight import highlighted
from jaxopt_lab.config.keywords import tables_of
from jaxopt_lab.config.sections import (
    MOST_SEED,
    Choice,
    DataConfig,
    GroupConfig,
    LogConfig,
    MeshConfig,
    StartConfig,
    TrainConfig,
)
from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.notebook import fragment
from jaxopt_lab.core.ranges import NonNegative, Range


@dataclass(frozen=True, repr=False)
class Config:
    """A whole configuration, checked; `load_config` and `Config.of` make it, `build` uses it.

    Two that say the same are equal, whether or not they spell out a default.

    Attributes:
      seed: of the run: its parameters, the order of its samples, augmentation and dropout.
      loss: where a file names none, what suits its targets.
      metric: what is measured beside the loss; where a file has none, what suits its targets.
      class_weights: how much a sample of a class counts in the loss, by its name, 1 where it is not
        named; or "balanced" for the same sum of every class. A file has it in `[loss]`.
      layer_decay: a factor on the learning rate from each layer to the one before it, in the order
        in which the model first uses them; a file has it in `[optimizer]`.
      consistency: weight of the Jensen-Shannon divergence between a sample's views, which `augmix`
        gives; a file has it in `[loss]`.
    """

    data: DataConfig
    model: Choice
    optimizer: Choice
    train: TrainConfig
    loss: Choice | None = None
    class_weights: Mapping[str, float] | str | None = None
    consistency: NonNegative = 0.0
    layer_decay: Annotated[float, Range(0, 1, low_open=True)] = 1.0
    group: tuple[GroupConfig, ...] = ()
    metric: tuple[Choice, ...] = ()
    penalty: tuple[Choice, ...] = ()
    augment: tuple[Choice, ...] = ()
    adversary: Choice | None = None
    schedule: tuple[Choice, ...] = ()
    control: tuple[Choice, ...] = ()
    start: StartConfig | None = None
    mesh: MeshConfig = field(default_factory=MeshConfig)
    log: LogConfig = field(default_factory=LogConfig)
    seed: Annotated[int, Range(0, MOST_SEED)] = 0

    @classmethod
    def of(cls, **tables: Any) -> "Config":
        """A configuration from Python, in the words of a file and with the same checks.

            Config.of(
                data="digits",
                model=dict(name="mlp", hidden=[64]),
                optimizer=dict(name="adam", learning_rate=1e-3),
                schedule=[dict(name="warmup", steps="10%"), "cosine_decay"],
                train=dict(epochs=5),
            )

        Args:
          tables: by the names of a file's tables, and `seed`. A table is a dict, or where it names
            a function the name alone; one that a file may have several of is also a list of them.
            Values are those of TOML, and of NumPy what is as good; None leaves a key out. Paths
            are of the working directory.

        Returns:
          The checked configuration; `to_toml` writes it as a file.

        Raises:
          InputError: where there is nothing, or what another command takes.
          ConfigError: naming every fault, by its dotted path.
        """
        return cls(**checked_fields(cls, tables_of(tables), source="Config.of"))

    def to_toml(self) -> str:
        """The file that says the same, every default filled in; `load_config` reads it back."""
        return to_toml(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Config):
            return NotImplemented
        if all(getattr(self, f.name) == getattr(other, f.name) for f in fields(self)):
            return True
        try:
            return to_tables(self) == to_tables(other)
        except InputError:  # names of one's own are not there to ask for their defaults
            return False

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        length = (
            f"{self.train.epochs:g} epochs" if self.train.epochs else f"{self.train.steps} steps"
        )
        return f"<Config of {self._names}, {length}, seed {self.seed}>"

    def _repr_html_(self) -> str:
        try:
            written = self.to_toml().strip()
        except InputError as error:  # it has names of one's own, which are not there now
            return fragment(f"Config of {self._names}", str(error), [])
        return fragment(f"Config of {self._names}", "", [highlighted(written)])

    @property
    def _names(self) -> str:
        return " / ".join((self.data.source.name, self.model.name, self.optimizer.name))
