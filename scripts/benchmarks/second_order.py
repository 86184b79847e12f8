"""K-FAC against tuned first-order methods and kfac-jax, in one process; prints the ratios.

    python scripts/benchmarks/second_order.py                    # all parts on digits
    python scripts/benchmarks/second_order.py autoencoder --data fashion_mnist --steps 2000
    python scripts/benchmarks/second_order.py --quick            # does it run

Parts:
  autoencoder  steps and seconds to a fixed training loss on the deep autoencoder
  mlp          the same on a perceptron that classifies
  step         milliseconds of a step on the autoencoder at batch 1,000, amortized, with factors
               every 5 steps and inverses every 20; Shampoo and SOAP with a basis every 20

Every method has the same number of settings to try (TRIALS), with the same first parameters and the
same batches. The training loss, of all images, is taken every CHECK steps. The fixed loss is the
lowest that any setting of Adam reaches in the given number of steps, and a method's best setting is
the first to get there. Seconds are steps times the seconds of a step, which are measured in turns,
each a whole period of K-FAC's inverses; compiling is not in them.

kfac-jax takes part where it is installed and runs with this version of JAX (0.0.8 does up to
jax 0.8). It runs as its own users run it, one compiled call a step; ours run in a scan.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from racing import Turn, medians, parser_of, record, show_times

from jaxopt_lab import data, losses, nn, optimizers, second_order

TRIALS = 6
CHECK = 10
PERIOD = 20  # steps of a turn, and between inversions


class Task(NamedTuple):
    """What to train, and on what."""

    name: str
    model: Any
    loss: Callable[[jax.Array, jax.Array], jax.Array]
    sample_label: Callable[[jax.Array, jax.Array], jax.Array]
    images: jax.Array
    labels: jax.Array
    batch_size: int

    def outputs(self, params: Any, batch: Any) -> jax.Array:
        return self.model.apply({"params": params}, batch["x"])

    def objective(self, params: Any, batch: Any) -> jax.Array:
        return self.loss(self.outputs(params, batch), batch["y"]).mean()

    def batch(self, index: jax.Array) -> Any:
        return {"x": self.images[index], "y": self.labels[index]}

    def start(self) -> Any:
        return jax.jit(self.model.init)(jax.random.key(0), self.images[:1])["params"]

    def indices(self, steps: int) -> jax.Array:
        rng, count = np.random.default_rng(0), len(self.images)
        size = min(self.batch_size, count)
        return jnp.stack([rng.choice(count, size, replace=False) for _ in range(steps)])


def images_of(name: str) -> tuple[jax.Array, jax.Array]:
    load: Any = data.DATASETS[name]
    train = load().train
    images = np.asarray(train["x"], np.float32)
    images = images / max(1.0, float(images.max()))
    return jnp.asarray(images), jnp.asarray(train["y"])


def autoencoder_task(name: str, batch_size: int) -> Task:
    images, _ = images_of(name)
    pixels = images.reshape(len(images), -1)
    widths = {"hidden": (256, 128, 64), "code": 16} if name == "digits" else {}
    model = nn.autoencoder(pixels.shape[1], **widths)
    sample = second_order.bernoulli
    return Task("autoencoder", model, losses.logistic, sample, images, pixels, batch_size)


def mlp_task(name: str, batch_size: int) -> Task:
    images, labels = images_of(name)
    model, loss = nn.mlp(10, hidden=(128, 128)), losses.softmax_cross_entropy
    return Task("mlp", model, loss, second_order.categorical, images, labels, batch_size)


class Method(NamedTuple):
    """An optimizer by its settings, and those to try."""

    make: Callable[..., optax.GradientTransformation]
    grid: list[dict[str, float]]


def crossed(**values: tuple[float, ...]) -> list[dict[str, float]]:
    products = itertools.product(*values.values())
    grid = [dict(zip(values, chosen, strict=True)) for chosen in products]
    assert len(grid) == TRIALS, f"{len(grid)} settings"
    return grid


def methods(every: int, factors_every: int) -> dict[str, Method]:
    kfac = functools.partial(second_order.kfac, every=every, factors_every=factors_every)
    rates = (3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2)
    return {
        "adam": Method(optimizers.adam, crossed(learning_rate=rates)),
        "momentum": Method(
            optimizers.momentum, crossed(learning_rate=(1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3))
        ),
        "kfac": Method(kfac, KFAC_GRID),
    }


KFAC_GRID = crossed(learning_rate=(0.1,), damping=(1e-2, 1e-1), norm_constraint=(1e-3, 1e-2, 1e-1))


def make_step(task: Task, tx: optax.GradientTransformation) -> Callable[..., Any]:
    tx = optax.with_extra_args_support(tx)

    def step(carry, given):
        params, state = carry
        index, key = given
        batch = task.batch(index)
        grads = jax.grad(task.objective)(params, batch)
        curvature = second_order.Curvature(
            params, task.outputs, task.loss, batch, key, task.sample_label
        )
        updates, state = tx.update(grads, state, params, curvature=curvature)
        return (optax.apply_updates(params, updates), state), None

    return step


def curves(task: Task, method: Method, steps: int) -> list[np.ndarray]:
    """The training loss every CHECK steps, a curve for each setting; one program for all."""
    indices = task.indices(steps).reshape(steps // CHECK, CHECK, -1)
    keys = jax.random.split(jax.random.key(1), indices.shape[:2])
    everything = {"x": task.images, "y": task.labels}

    @jax.jit
    def run(settings, params):
        tx = method.make(**settings)
        step = make_step(task, tx)

        def some(carry, given):
            carry, _ = jax.lax.scan(step, carry, given)
            return carry, task.objective(carry[0], everything)

        return jax.lax.scan(some, (params, tx.init(params)), (indices, keys))[1]

    params = task.start()
    return [np.asarray(run(settings, params)) for settings in method.grid]


def turn_of(task: Task, tx: optax.GradientTransformation) -> Turn:
    """A period of steps in one scan."""
    given = task.indices(PERIOD), jax.random.split(jax.random.key(1), PERIOD)
    run = jax.jit(lambda carry, given: jax.lax.scan(make_step(task, tx), carry, given)[0])
    params = task.start()
    carry = params, tx.init(params)
    return lambda: jax.block_until_ready(run(carry, given))


class KfacJax:
    """kfac-jax on the same network, written without Flax."""

    def __init__(self, task: Task, every: int, factors_every: int, **settings: float):
        import kfac_jax  # pyright: ignore[reportMissingImports]

        register = {
            "autoencoder": kfac_jax.register_sigmoid_cross_entropy_loss,
            "mlp": kfac_jax.register_softmax_cross_entropy_loss,
        }[task.name]
        layers = list(task.start())
        code = layers[len(layers) // 2 - 1] if task.name == "autoencoder" else None
        activate = jnp.tanh if task.name == "autoencoder" else jax.nn.relu

        def objective(params, batch):
            x, labels = batch
            for name in layers:
                x = x @ params[name]["kernel"] + params[name]["bias"]
                x = x if name in (code, layers[-1]) else activate(x)
            register(x, labels)
            return task.loss(x, labels).mean()

        self.task, self.settings = task, settings
        self.key = jax.random.PRNGKey(0)
        self.optimizer = kfac_jax.Optimizer(
            jax.value_and_grad(objective),
            l2_reg=0.0,
            initial_damping=settings["damping"],
            norm_constraint=settings["norm_constraint"],
            estimation_mode="fisher_gradients",
            curvature_ema=0.95,
            curvature_update_period=factors_every,
            inverse_update_period=every,
            num_burnin_steps=0,
        )
        self.start()

    def start(self) -> None:
        params = jax.tree.map(jnp.copy, self.task.start())
        self.state = self.optimizer.init(params, self.key, self.batch(self.task.indices(1)[0]))
        self.params = params

    def batch(self, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        batch = self.task.batch(index)
        return batch["x"].reshape(len(index), -1), batch["y"]

    def steps(self, batches: list[Any]) -> None:
        rate, momentum = jnp.asarray(self.settings["learning_rate"]), jnp.asarray(0.9)
        damping = jnp.asarray(self.settings["damping"])
        for batch in batches:
            self.key, key = jax.random.split(self.key)
            self.params, self.state, _ = self.optimizer.step(
                self.params,
                self.state,
                key,
                batch=batch,
                learning_rate=rate,
                momentum=momentum,
                damping=damping,
            )
        jax.block_until_ready(self.params)

    def curve(self, steps: int) -> np.ndarray:
        everything = {"x": self.task.images, "y": self.task.labels}
        measure, found = jax.jit(self.task.objective), []
        for group in self.task.indices(steps).reshape(steps // CHECK, CHECK, -1):
            self.steps([self.batch(index) for index in group])
            found.append(measure(self.params, everything))
        return np.asarray(found)

    def turn(self) -> Turn:
        batches = [self.batch(index) for index in self.task.indices(PERIOD)]
        return lambda: self.steps(batches)


def peer(task: Task, every: int, factors_every: int, settings: dict[str, float]) -> KfacJax | None:
    """kfac-jax after a step, or None with a line that says why."""
    try:
        found = KfacJax(task, every, factors_every, **settings)
        found.steps([found.batch(task.indices(1)[0])])
        found.start()
        return found
    except ImportError:
        print("kfac-jax: not installed, left out")
    except (ValueError, TypeError, AttributeError) as error:
        print(f"kfac-jax: left out, does not run with jax {jax.__version__}: {error}")
    return None


def step_times(turns: dict[str, Turn], rounds: int) -> dict[str, float]:
    """Median seconds of a step of each, from turns of a period."""
    return {name: taken / PERIOD for name, taken in medians(turns, rounds).items()}


def steps_to(curve: np.ndarray, target: float) -> float:
    reached = np.flatnonzero(curve <= target)
    return CHECK * (float(reached[0]) + 1) if len(reached) else float("inf")


def first_to(tried: list[np.ndarray], target: float) -> int:
    """Which of the curves gets there first, or where none does ends lowest."""
    ends = [float(np.nan_to_num(curve[-1], nan=np.inf)) for curve in tried]
    return min(range(len(tried)), key=lambda i: (steps_to(tried[i], target), ends[i]))


def to_a_loss(task: Task, steps: int, rounds: int) -> None:
    every, factors_every = 5, 1
    print(f"\n{task.name}: {len(task.images):,} images, batch {len(task.indices(1)[0]):,}")
    entries = methods(every, factors_every)
    found = {name: curves(task, method, steps) for name, method in entries.items()}
    turns: dict[str, Callable[[dict[str, float]], Turn]] = {
        name: lambda settings, make=method.make: turn_of(task, make(**settings))
        for name, method in entries.items()
    }
    grids = {name: method.grid for name, method in entries.items()}
    if peer(task, every, factors_every, KFAC_GRID[0]):
        runs = [KfacJax(task, every, factors_every, **settings) for settings in KFAC_GRID]
        found["kfac-jax"] = [run.curve(steps) for run in runs]
        turns["kfac-jax"] = lambda s: KfacJax(task, every, factors_every, **s).turn()
        grids["kfac-jax"] = KFAC_GRID
    target = min(float(np.nanmin(curve)) for curve in found["adam"])
    best = {name: first_to(tried, target) for name, tried in found.items()}
    times = step_times({name: turns[name](grids[name][i]) for name, i in best.items()}, rounds)
    needed = {name: steps_to(found[name][i], target) for name, i in best.items()}
    seconds = {name: needed[name] * times[name] for name in best}
    record(f"{task.name} to a training loss of {target:.4f}", needed, "steps")
    record(f"{task.name} to a training loss of {target:.4f}", seconds, "seconds")
    print(f"  to a training loss of {target:.4f}, the lowest of Adam's in {steps} steps")
    for name, i in best.items():
        settings = ", ".join(f"{key} {value:g}" for key, value in grids[name][i].items())
        last = found[name][i][-1]
        result = (
            f"{needed[name]:>6.0f} steps {1e3 * times[name]:>8.2f} ms each {seconds[name]:>8.1f} s"
        )
        if needed[name] == float("inf"):
            result = f"not in {steps} steps; {1e3 * times[name]:.2f} ms each"
        elif name != "adam":
            shares = needed[name] / needed["adam"], seconds[name] / seconds["adam"]
            result += f"   {shares[0]:.2f}x Adam's steps, {shares[1]:.2f}x its time"
        print(f"  {name:<10}{result}   (at the end {last:.4f}; {settings})", flush=True)


def a_step(name: str, rounds: int, quick: bool) -> None:
    task = autoencoder_task(name, 1000)
    sizes = [("the widths for this data", task)]
    if not quick:
        rng = np.random.default_rng(0)
        pixels = jnp.asarray(rng.random((1000, 784)), jnp.float32)
        classic = task._replace(model=nn.autoencoder(784), images=pixels, labels=pixels)
        sizes.append(("784-1000-500-250-30, random images", classic))
    settings = {"learning_rate": 0.1, "damping": 0.1, "norm_constraint": 1e-1}
    for title, sized in sizes:
        contenders = {"adam": turn_of(sized, optimizers.adam(1e-3))}
        contenders["kfac"] = turn_of(
            sized, second_order.kfac(**settings, every=PERIOD, factors_every=5)
        )
        for make in (second_order.shampoo, second_order.soap):
            contenders[make.__name__] = turn_of(sized, make(1e-3, every=PERIOD))
        other = peer(sized, PERIOD, 5, settings)
        if other:
            contenders["kfac-jax"] = other.turn()
        title = f"a step of the autoencoder, batch 1,000, {title}"
        show_times(title, step_times(contenders, rounds))


PARTS = ("autoencoder", "mlp", "step")


def main() -> None:
    parser = parser_of(__doc__, PARTS, "40 steps and two rounds")
    parser.add_argument("--data", default="digits", choices=["digits", "mnist", "fashion_mnist"])
    parser.add_argument("--steps", type=int, default=1000, help="of every setting")
    parser.add_argument("--batch-size", type=int, default=500)
    options = parser.parse_args()
    print(jax.devices()[0].device_kind)
    steps, rounds = (40, 2) if options.quick else (options.steps, 9)
    for part in options.parts or PARTS:
        if part == "step":
            a_step(options.data, rounds, options.quick)
            continue
        make = autoencoder_task if part == "autoencoder" else mlp_task
        to_a_loss(make(options.data, options.batch_size), steps, rounds)


if __name__ == "__main__":
    main()
