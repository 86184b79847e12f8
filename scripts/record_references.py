"""Record how Keras 3 and PyTorch train a small network, for tests/references/.

The ordinary tests compare `jaxopt_lab.compat` with these records and need neither library. To
record anew, or to check live that the records are true (the extra `parity` brings the libraries):

    python scripts/record_references.py [--check]

A record is every 20th iterate of 200 steps, all parameters in one float32 vector. The problem and
the cases are recorded beside: `problem.npz`, `cases.json`, `keras.npz`, `torch.npz`.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

FOLDER = Path(__file__).parents[1] / "tests" / "references"
STEPS, EVERY = 200, 20
SHAPES = {"w1": (3, 5), "b1": (5,), "w2": (5, 2), "b2": (2,)}
DRAWS = 3  # of hyperparameters, for each optimizer

# What is drawn at random: name -> (low, high), log-uniform for rates and epsilons, and as
# 1 - log-uniform for what lies near 1. RMSprop's rates are low since its momentum makes a chaotic
# path of larger ones: at 1e-2 Keras itself came 7e-5 away from its record on another CPU.
RATES = {
    "SGD": (1e-2, 2e-1),
    "RMSprop": (1e-4, 2e-3),
    "Adagrad": (1e-2, 2e-1),
    "Adadelta": (3e-1, 3.0),
    "Adam": (1e-3, 5e-2),
    "AdamW": (1e-3, 5e-2),
    "Nadam": (1e-3, 3e-2),
    "NAdam": (1e-3, 3e-2),
}
KERAS_DRAWN = {
    "SGD": {"momentum": "decay"},
    "RMSprop": {"rho": "decay", "epsilon": "eps", "momentum": "decay"},
    "Adagrad": {"epsilon": "eps", "initial_accumulator_value": "start"},
    "Adadelta": {"rho": "decay", "epsilon": "eps"},
    "Adam": {"beta_1": "decay", "beta_2": "decay", "epsilon": "eps"},
    "AdamW": {"beta_1": "decay", "beta_2": "decay", "epsilon": "eps", "weight_decay": "lambda"},
    "Nadam": {"beta_1": "decay", "beta_2": "decay", "epsilon": "eps"},
}
TORCH_DRAWN = {
    "SGD": {"momentum": "decay", "dampening": "decay", "weight_decay": "lambda"},
    "RMSprop": {"alpha": "decay", "eps": "eps", "momentum": "decay", "weight_decay": "lambda"},
    "Adagrad": {"eps": "eps", "initial_accumulator_value": "start", "lr_decay": "lambda"},
    "Adadelta": {"rho": "decay", "eps": "eps", "weight_decay": "lambda"},
    "Adam": {"betas": "decays", "eps": "eps", "weight_decay": "lambda"},
    "AdamW": {"betas": "decays", "eps": "eps", "weight_decay": "lambda"},
    "NAdam": {"betas": "decays", "eps": "eps", "momentum_decay": "lambda"},
}

# Every option, and a rate that falls ("falling" scales it by 1 - t/250).
KERAS_OPTIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("SGD", {"learning_rate": 0.05}, False),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9}, True),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}, False),
    ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}, True),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "decay": 0.02}, False),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "weight_decay": 0.05}, True),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "clipnorm": 0.1}, False),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "clipvalue": 0.05}, False),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "global_clipnorm": 0.1}, False),
    ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9}, False),
    (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
        False,
    ),
    ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-3, "centered": True}, False),
    ("RMSprop", {"learning_rate": 0.01, "epsilon": 1e-3, "momentum": 0.9}, True),
    ("Adam", {"learning_rate": 0.02, "epsilon": 1e-3}, False),
    ("Adam", {"learning_rate": 0.02, "beta_2": 0.9, "amsgrad": True}, False),
    ("Adam", {"learning_rate": 0.02, "weight_decay": 0.1, "global_clipnorm": 0.1}, True),
    ("AdamW", {"learning_rate": 0.02, "weight_decay": 0.1, "use_ema": True}, True),
]
TORCH_OPTIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("SGD", {"lr": 0.05}, False),
    ("SGD", {"lr": 0.05, "momentum": 0.9}, True),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, False),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}, True),
    ("SGD", {"lr": 0.005, "momentum": 0.9, "dampening": 0.9, "maximize": True}, False),
    ("RMSprop", {"lr": 0.01, "eps": 1e-3, "centered": True}, False),
    ("RMSprop", {"lr": 0.001, "eps": 1e-3, "momentum": 0.5, "maximize": True}, True),
    ("Adagrad", {"lr": 0.1, "eps": 1e-2}, False),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.02, "weight_decay": 0.05, "maximize": True}, True),
    ("Adadelta", {"lr": 1.0, "maximize": True}, True),
    ("Adam", {"lr": 0.02, "eps": 1e-3}, False),
    ("Adam", {"lr": 0.02, "betas": [0.9, 0.9], "amsgrad": True, "weight_decay": 0.05}, False),
    ("Adam", {"lr": 0.005, "maximize": True}, True),
    ("AdamW", {"lr": 0.02, "betas": [0.9, 0.9], "amsgrad": True, "weight_decay": 0.1}, False),
    ("AdamW", {"lr": 0.005, "maximize": True}, True),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.05}, True),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}, False),
    ("NAdam", {"lr": 0.005, "maximize": True}, False),
]


def make_problem() -> dict[str, np.ndarray]:
    """Inputs, targets and first parameters of a tanh network, mean squared error.

    Step t takes batch t mod 4, so that gradients do not vanish: where they do, Adam's like turn
    the last bit of a gradient into a whole step.
    """
    rng = np.random.default_rng(0)
    problem = {"x": rng.normal(size=(4, 6, 3)), "y": rng.normal(size=(4, 6, 2))}
    problem |= {name: 0.7 * rng.normal(size=shape) for name, shape in SHAPES.items()}
    return {name: value.astype(np.float32) for name, value in problem.items()}


def make_cases() -> dict[str, list[dict[str, Any]]]:
    """The defaults, the options above, and random draws of the hyperparameters."""
    rng = np.random.default_rng(1)

    def between(low, high):
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.4g}")

    def draw(kind):
        if kind == "decays":
            return [draw("decay"), draw("decay")]
        if kind == "decay":
            return round(1 - between(5e-3, 0.5), 4)
        return between(*{"eps": (1e-7, 1e-2), "start": (1e-3, 1.0), "lambda": (1e-3, 0.1)}[kind])

    cases = {}
    for library, drawn, options, rate in (
        ("keras", KERAS_DRAWN, KERAS_OPTIONS, "learning_rate"),
        ("torch", TORCH_DRAWN, TORCH_OPTIONS, "lr"),
    ):
        found = [(name, {}, False) for name in drawn] + list(options)
        for name, kinds in drawn.items():
            for k in range(DRAWS):
                arguments = {rate: between(*RATES[name])}
                arguments |= {key: draw(kind) for key, kind in kinds.items()}
                found.append((name, arguments, k == DRAWS - 1))
        cases[library] = [
            {"name": name, "arguments": arguments, "falling": falling}
            for name, arguments, falling in found
        ]
    return cases


def run_torch(problem: dict[str, np.ndarray], case: dict[str, Any]) -> np.ndarray:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    x, y = torch.from_numpy(problem["x"]), torch.from_numpy(problem["y"])
    p = {name: torch.nn.Parameter(torch.from_numpy(problem[name].copy())) for name in SHAPES}
    optimizer = getattr(torch.optim, case["name"])(p.values(), **case["arguments"])
    rate = optimizer.param_groups[0]["lr"]
    rows = [flat({k: v.detach().numpy() for k, v in p.items()})]
    for step in range(STEPS):
        if case["falling"]:
            optimizer.param_groups[0]["lr"] = rate * (1 - step / 250)
        optimizer.zero_grad()
        out = torch.tanh(x[step % 4] @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        ((out - y[step % 4]) ** 2).mean().backward()
        optimizer.step()
        rows.append(flat({k: v.detach().numpy() for k, v in p.items()}))
    return np.stack(rows[::EVERY])


def run_keras(problem: dict[str, np.ndarray], case: dict[str, Any]) -> np.ndarray:
    """Every 20th iterate of a Keras optimizer on the recorded problem, the start too."""
    import jax
    import jax.numpy as jnp
    import keras  # pyright: ignore[reportMissingImports]

    arguments = dict(case["arguments"])
    make = getattr(keras.optimizers, case["name"])
    first = arguments.get("learning_rate", make().get_config()["learning_rate"])
    if "decay" in arguments:
        # Of Keras before 2.11; the schedule that it became.
        decay = arguments.pop("decay")
        arguments["learning_rate"] = keras.optimizers.schedules.InverseTimeDecay(first, 1, decay)
    if case["falling"]:
        arguments["learning_rate"] = keras.optimizers.schedules.PolynomialDecay(first, 250, 0.0)
    optimizer = make(**arguments)
    variables = [keras.Variable(problem[name], name=name) for name in SHAPES]
    optimizer.build(variables)

    def loss(values, x, y):
        w1, b1, w2, b2 = values
        out = jnp.tanh(x @ w1 + b1) @ w2 + b2
        return jnp.mean((out - y) ** 2)

    @jax.jit
    def update(values, state, x, y):
        return optimizer.stateless_apply(state, jax.grad(loss)(values, x, y), values)

    values = [jnp.asarray(problem[name]) for name in SHAPES]
    state = [v.value for v in optimizer.variables]
    averages = [i for i, v in enumerate(optimizer.variables) if v.path.endswith("_average")]
    rows = []
    for step in range(STEPS + 1):
        # With an average that never overwrites, what is recorded is the average.
        shown = values
        if averages and "ema_overwrite_frequency" not in arguments and rows:
            shown = [state[i] for i in averages]
        rows.append(flat(dict(zip(SHAPES, map(np.asarray, shown), strict=True))))
        values, state = update(values, state, problem["x"][step % 4], problem["y"][step % 4])
    return np.stack(rows[::EVERY])


def flat(parameters: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([parameters[name].ravel() for name in SHAPES]).astype(np.float32)


RUN = {"keras": run_keras, "torch": run_torch}


def record() -> None:
    """Write the problem, the cases and both libraries' iterates."""
    problem, cases = make_problem(), make_cases()
    np.savez(FOLDER / "problem.npz", **problem)
    text = json.dumps(cases, indent=1)
    (FOLDER / "cases.json").write_text(text + "\n")
    for library, run in RUN.items():
        rows = [run(problem, case) for case in cases[library]]
        np.savez_compressed(FOLDER / f"{library}.npz", iterates=np.stack(rows))


def check() -> int:
    """Run the libraries again on the recorded problem: how many records differ."""
    problem = dict(np.load(FOLDER / "problem.npz", allow_pickle=False))
    cases = json.loads((FOLDER / "cases.json").read_text())
    wrong = 0
    for library, run in RUN.items():
        recorded = np.load(FOLDER / f"{library}.npz", allow_pickle=False)["iterates"]
        for case, expected in zip(cases[library], recorded, strict=True):
            found = run(problem, case)
            difference = np.linalg.norm(found - expected) / np.linalg.norm(expected)
            wrong += not difference < 1e-6
            print(f"{difference:.1e}  {library}.{case['name']} {case['arguments']}", flush=True)
    print(f"{wrong} records differ by 1e-6 or more")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the records, write none")
    if parser.parse_args().check:
        sys.exit(1 if check() else 0)
    record()


if __name__ == "__main__":
    main()
