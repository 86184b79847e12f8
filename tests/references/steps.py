"""Every optimizer's step as a NumPy loop in double precision, from its equation, leaf by leaf.

`step(s, t, g, p, **numbers)` is what the parameter `p` moves by at step t from 1, with gradient g;
`s` is what it remembers, zero at first. Second moments are of |g|^2, right for complex numbers too.
"""

from collections import defaultdict

import numpy as np


def size(z):
    """|z|^2, elementwise."""
    return (z * np.conj(z)).real


def average(s, name, decay, new):
    s[name] = decay * s[name] + (1 - decay) * new
    return s[name]


def corrected(s, name, decay, new, t):
    return average(s, name, decay, new) / (1 - decay**t)


def decayed(p, weight_decay):
    return weight_decay * p if np.ndim(p) > 1 else 0


def sgd(s, t, g, p, learning_rate):
    return -learning_rate * g


def momentum(s, t, g, p, learning_rate, momentum=0.9, rate_inside=True):
    if rate_inside:
        s["m"] = momentum * s["m"] + learning_rate * g
        return -s["m"]
    s["m"] = momentum * s["m"] + g
    return -learning_rate * s["m"]


def nesterov(s, t, g, p, learning_rate, momentum=0.9):
    s["m"] = momentum * s["m"] - learning_rate * g
    return momentum * s["m"] - learning_rate * g


def adagrad(s, t, g, p, learning_rate, eps=1e-8):
    s["G"] = s["G"] + size(g)
    return -learning_rate * g / np.sqrt(s["G"] + eps)


def rmsprop(s, t, g, p, learning_rate, decay=0.9, eps=1e-8, momentum=0.0, centered=False):
    spread = average(s, "E", decay, size(g))
    if centered:
        spread = spread - size(average(s, "M", decay, g))
    s["w"] = momentum * s["w"] + learning_rate * g / np.sqrt(spread + eps)
    return -s["w"]


def adadelta(s, t, g, p, learning_rate=1.0, rho=0.95, eps=1e-6):
    below = average(s, "E", rho, size(g)) + eps
    d = g * np.sqrt((s["X"] + eps) / below)
    average(s, "X", rho, size(d))
    return -learning_rate * d


def adam(s, t, g, p, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    m, v = corrected(s, "m", b1, g, t), corrected(s, "v", b2, size(g), t)
    return -learning_rate * m / (np.sqrt(v) + eps)


def adamw(s, t, g, p, learning_rate, weight_decay=1e-2):
    return adam(s, t, g, p, learning_rate) - learning_rate * decayed(p, weight_decay)


def nadam(s, t, g, p, learning_rate, b1=0.9, b2=0.999, eps=1e-8, psi=4e-3):
    mu, following = (b1 * (1 - 0.5 * 0.96 ** (k * psi)) for k in (t, t + 1))
    s["product"] = (s["product"] if t > 1 else 1.0) * mu
    m = following * average(s, "m", b1, g) / (1 - s["product"] * following)
    m = m + (1 - mu) * g / (1 - s["product"])
    return -learning_rate * m / (np.sqrt(corrected(s, "v", b2, size(g), t)) + eps)


def nadamw(s, t, g, p, learning_rate, weight_decay=1e-2):
    return nadam(s, t, g, p, learning_rate) - learning_rate * decayed(p, weight_decay)


def lion(s, t, g, p, learning_rate, b1=0.9, b2=0.99, weight_decay=1e-3):
    u = np.sign(b1 * s["m"] + (1 - b1) * g)
    average(s, "m", b2, g)
    return -learning_rate * (u + decayed(p, weight_decay))


def muon(s, t, g, p, learning_rate, beta=0.95):
    if np.ndim(p) < 2:
        mean = average(s, "m", 0.9, g)
        m = 0.9 * mean / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
        return -learning_rate * m / (np.sqrt(corrected(s, "v", 0.999, size(g), t)) + 1e-8)
    mean = average(s, "m", beta, g)
    x = beta * mean / (1 - beta ** (t + 1)) + (1 - beta) * g / (1 - beta**t)
    x = x / (np.linalg.norm(x) + 1e-8)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        square = x @ x.conj().T
        x = a * x + (b * square + c * square @ square) @ x
    inputs, outputs = p.shape
    return -learning_rate * np.sqrt(max(1, outputs / inputs)) * x


def schedule_free(s, t, direction, p, learning_rate, b1):
    """With a constant rate all weights are one: c = 1 / t."""
    z = (s["z"] if t > 1 else p) + direction
    x = (p - (1 - b1) * s["z"]) / b1 if t > 1 else p
    s["z"], x = z, x + (z - x) / t
    return (1 - b1) * z + b1 * x - p


def schedule_free_sgd(s, t, g, p, learning_rate, b1=0.9):
    return schedule_free(s, t, -learning_rate * g, p, learning_rate, b1)


def schedule_free_adamw(s, t, g, p, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    root = np.sqrt(corrected(s, "v", b2, size(g), t)) + eps
    return schedule_free(s, t, -learning_rate * g / root, p, learning_rate, b1)


def ademamix(s, t, g, p, learning_rate, b1=0.9, b2=0.999, b3=0.9999, alpha=5.0, eps=1e-8):
    m = corrected(s, "m", b1, g, t) + alpha * average(s, "slow", b3, g)
    return -learning_rate * m / (np.sqrt(corrected(s, "v", b2, size(g), t)) + eps)


def lamb(s, t, g, p, learning_rate, eps=1e-6):
    d = -adam(s, t, g, p, 1.0, eps=eps)
    return -learning_rate * np.linalg.norm(p) / np.linalg.norm(d) * d


def lars(s, t, g, p, learning_rate, momentum=0.9, trust_coefficient=1e-3):
    if np.ndim(p) > 1:
        g = trust_coefficient * np.linalg.norm(p) / np.linalg.norm(g) * g
    s["m"] = momentum * s["m"] - learning_rate * g
    return s["m"]


def radam(s, t, g, p, learning_rate, b1=0.9, b2=0.999, eps=1e-8):
    m, v = corrected(s, "m", b1, g, t), corrected(s, "v", b2, size(g), t)
    limit = 2 / (1 - b2) - 1
    rho = limit - 2 * t * b2**t / (1 - b2**t)
    if rho < 5:
        return -learning_rate * m
    r = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
    return -learning_rate * r * m / (np.sqrt(v) + eps)


def adan(s, t, g, p, learning_rate, b1=0.98, b2=0.92, b3=0.99, eps=1e-8):
    change = g - (s["old"] if t > 1 else g)
    s["old"] = g
    m, v = corrected(s, "m", b1, g, t), corrected(s, "v", b2, change, t)
    n = corrected(s, "n", b3, size(g + (1 - b2) * change), t)
    return -learning_rate * (m + (1 - b2) * v) / (np.sqrt(n + eps) + eps)


def adabelief(s, t, g, p, learning_rate, b1=0.9, b2=0.999, eps=1e-16):
    m = average(s, "m", b1, g)
    s["s"] = b2 * s["s"] + (1 - b2) * size(g - m) + eps
    return -learning_rate * m / (1 - b1**t) / (np.sqrt(s["s"] / (1 - b2**t)) + eps)


def prodigy(params, grads, learning_rate=1.0, b1=0.9, b2=0.999, eps=1e-8, d=1e-6):
    """The whole path, because its estimate d is of all leaves together."""
    start, first, b3 = params, d, b2**0.5
    m, v, sums = ([0.0] * len(params) for _ in range(3))
    r = 0.0
    for t, g in enumerate(grads, 1):
        a = learning_rate * d * np.sqrt(1 - b2**t) / (1 - b1**t)
        pairs = list(zip(g, start, params, strict=True))
        r = b3 * r + a * d / first * sum((g * (p0 - p)).sum() for g, p0, p in pairs)
        sums = [b3 * s + a * d / first * g for s, g in zip(sums, g, strict=True)]
        m = [b1 * m + (1 - b1) * d * g for m, g in zip(m, g, strict=True)]
        v = [b2 * v + (1 - b2) * (d * g) ** 2 for v, g in zip(v, g, strict=True)]
        d = max(d, r / sum(np.abs(s).sum() for s in sums))
        steps = [a * m / (np.sqrt(v) + d * eps) for m, v in zip(m, v, strict=True)]
        params = [p - u for p, u in zip(params, steps, strict=True)]
    return params


def path(step, params, grads, **numbers):
    """The parameters, a list of arrays, after gradients `grads(params, t)` of as many steps."""
    memory = [defaultdict(float) for _ in params]
    for t, g in enumerate(grads, 1):
        params = [
            p + step(s, t, slope, p, **numbers)
            for s, slope, p in zip(memory, g, params, strict=True)
        ]
    return params
