"""The ground floor: type aliases, pytree maths, argument ranges, names and errors."""
