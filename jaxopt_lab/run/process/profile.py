"""A trace of a run's first seconds: what each step does on its device and on the host, and when."""

import os
import pathlib
import time
from collections.abc import Callable

import jax

from jaxopt_lab.core.errors import InputError
from jaxopt_lab.core.readable import as_typed

# Beyond so many seconds a trace is too large for those who draw it.
SECONDS = 10.0


class Profile:
    """While it is entered, JAX writes a trace, of `SECONDS` and of whole chunks at least.

    Nothing else of the run is another: neither its numbers nor its files.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, say: Callable[[str], None]):
        """Prepare a trace.

        Args:
          folder: where it goes; None for no trace.
          say: is told where it is.

        Raises:
          InputError: where the folder cannot be made.
        """
        self._folder = None if folder is None else pathlib.Path(folder)
        self._say, self._until = say, None
        if self._folder:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"train: no trace can be written to {self._folder} ({error.strerror}): give "
                    "another --profile"
                ) from None

    def __enter__(self) -> "Profile":
        if self._folder:
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # Python's calls would be most of the file
            try:
                jax.profiler.start_trace(
                    self._folder, create_perfetto_trace=True, profiler_options=options
                )
            except RuntimeError as error:
                raise InputError(f"train: no trace can be taken: {error}") from None
            self._until = time.monotonic() + SECONDS
        return self

    def look(self) -> None:
        """End the trace where it is long enough; called after each chunk of steps."""
        if self._until is not None and time.monotonic() >= self._until:
            self._end()

    def __exit__(self, *error: object) -> None:
        if self._until is not None:
            self._end()

    def _end(self) -> None:
        self._until = None
        jax.profiler.stop_trace()
        found = sorted(self._folder.rglob("perfetto_trace.json.gz")) if self._folder else ()
        if found:
            shown = as_typed(self._folder)
            self._say(
                f"a trace is in {self._folder}: tensorboard --logdir {shown} (with xprof "
                f"installed), or open {found[-1]} at ui.perfetto.dev"
            )
