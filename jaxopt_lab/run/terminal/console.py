"""Where a command's words go, which may be gone: a reader such as `head` leaves when it likes."""

import rich.console

from jaxopt_lab.run.terminal.streams import let_go


class Console(rich.console.Console):
    """rich's, but for a reader that goes away: the rest is said to nobody, and the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        let_go(self.file)
