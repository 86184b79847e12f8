"""What a program gives LAPACK on a CPU: matrices one at a time, never a batch of them."""

import re

import jax


def single_matrices(function, *given):
    """How often a function under `jit` calls LAPACK; fails where a call is given a batch."""
    program = jax.jit(function).lower(*given).as_text()
    calls = re.findall(r"@lapack_\w+\(.*: \(tensor<((?:\d+x)*)f32>", program)
    assert all(shape.count("x") == 2 for shape in calls), calls
    assert "stablehlo.triangular_solve" not in program and "stablehlo.cholesky" not in program
    return len(calls)
