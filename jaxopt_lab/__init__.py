"""The optimization of deep networks in JAX."""
