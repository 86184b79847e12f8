"""`python -m jaxopt_lab` is `jaxopt-lab`."""

from jaxopt_lab.cli import main

if __name__ == "__main__":
    main()
