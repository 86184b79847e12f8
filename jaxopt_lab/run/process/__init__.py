"""The machine's side: signals, cores, hosts."""
