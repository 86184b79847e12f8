"""One TOML file, checked whole, made into objects.

It may import all families, `engine` and `sweeps`, and is the one room that turns names into
functions, by the tables of `tables.py` and by what functions declare. Begin with `sections.py`, the
tables of a file, which `schema.py` holds together as a `Config`; `checks.py` checks them, and
`build.py` makes an `Experiment` of it.
"""
