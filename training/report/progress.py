"""What long work shows of itself: a bar on a terminal, a line a minute elsewhere. Knows nothing about what is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from common.console import tell
from common.text import safe_markup

EVERY_S = 60.0
"""Between two lines where there is no terminal."""


class Advance(Protocol):
    """Told how much more is done, and what it looks like by now."""

    def __call__(self, amount: float = 1.0, now: str = "") -> None: ...


@contextmanager
def bar(console: Console, title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Progress with elapsed and remaining time; yields what advances it by one, or by so many."""
    if not console.is_terminal:
        yield _Lines(title, total, done, silent=console.quiet).advance
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("ETA"), TimeRemainingColumn(), TextColumn("{task.fields[now]}"))  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=total, completed=done, now="")

        def advance(amount: float = 1.0, now: str = "") -> None:
            progress.update(task, advance=amount, now=safe_markup(now, None))

        yield advance


class _Lines:
    """A line a minute: what is done, since when, how long it will take."""

    def __init__(self, title: str, total: int, done: int, silent: bool) -> None:
        self.title, self.total, self.first, self.silent = title, total, done, silent
        self.done = float(done)
        self.began = self.told = time.monotonic()

    def advance(self, amount: float = 1.0, now: str = "") -> None:
        self.done += amount
        at = time.monotonic()
        if at - self.told >= EVERY_S and not self.silent:
            self.told = at
            left = (at - self.began) * (self.total - self.done) / max(self.done - self.first, 1e-9)
            times = f"{span(at - self.began)} gone, {span(left)} left"
            tell(f"{self.title}: {self.done:.0f} of {self.total}, {times}{f'; {now}' if now else ''}")


def span(seconds: float) -> str:
    """Seconds as people say it: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
