"""Where a command's words go, which may be gone: a reader such as `head` leaves when it likes."""

import errno

import rich.console

from jaxopt_lab.run.terminal.streams import let_go


class Console(rich.console.Console):
    """rich's, but for a reader that goes away: the rest is said to nobody, and the work goes on.

    So it is for a terminal that is closed, too, which answers with EIO.
    """

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go(self.file)
