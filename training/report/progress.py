"""What long work shows of itself: a bar on a terminal, a line a minute elsewhere; and tables that are never cut.

Knows nothing about what is done or what the tables hold, but that names in them may come from outside.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from common.console import tell
from common.text import safe_markup

EVERY_S = 60.0
"""Between two lines where there is no terminal."""
WIDEST = 10_000
"""Columns that a table may take where there is no terminal."""


@contextmanager
def bar(console: Console, title: str, total: int, done: float = 0) -> Iterator[Callable[..., None]]:
    """Progress with elapsed and remaining time; yields the function that advances it by one, or by so many."""
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("ETA"), TimeRemainingColumn())  # fmt: skip
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(title, total=total, completed=done)
            yield lambda amount=1.0: progress.advance(task, amount)
    else:
        yield _Lines(title, total, done, silent=console.quiet).advance


class _Lines:
    """A line a minute: what is done, since when, how long it will take."""

    def __init__(self, title: str, total: int, done: float, silent: bool) -> None:
        self.title, self.total, self.first, self.done, self.silent = title, total, done, done, silent
        self.began = self.told = time.monotonic()

    def advance(self, amount: float = 1.0) -> None:
        self.done += amount
        now = time.monotonic()
        if now - self.told >= EVERY_S and not self.silent:
            self.told = now
            left = (now - self.began) * (self.total - self.done) / max(self.done - self.first, 1e-9)
            tell(f"{self.title}: {self.done:.0f} of {self.total}, {span(now - self.began)} gone, {span(left)} left")


def span(seconds: float) -> str:
    """Seconds as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], *, left: Collection[str] = (),
    console: Console | None = None,
) -> None:  # fmt: skip
    """A table on standard output, or on `console`. left: headings of columns that are text; numbers stand to the right.

    On a terminal it is made to fit; anywhere else it takes the width that it needs.
    """
    table = Table(title=safe_markup(title, None), show_header=any(one.strip() for one in headings))
    for heading in headings:
        table.add_column(safe_markup(heading, None), justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(safe_markup(cell, None) for cell in row))
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=WIDEST, quiet=console.quiet)
        console.width = max(Measurement.get(console, console.options, table).maximum, len(title))
    console.print(table)
