"""The ground floor: type aliases, pytree maths, argument ranges, names and errors.

Imports nothing else of the package, and everything may import it. Begin with `types.py`, then
`ranges.py`, which checks the arguments of every public function.
"""
