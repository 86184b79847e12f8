"""Warnings are errors (pyproject), and so is an implicit rank promotion."""

import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
