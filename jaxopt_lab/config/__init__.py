"""One TOML file, checked whole, made into objects."""
