"""A run as it happens, on a terminal; nothing where standard error is not one. Knows nothing about sockets."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from common.console import say
from common.log import terminal
from sctx.outcomes import Summary

WIDE = 110
"""Columns from which on there is room for a bar and the time that is left."""


class Dashboard:
    """Progress, link state, losses, accuracy, symbols per image, SNR, latency: one line, or two where it is narrow.

    up: whether the receiver is heard now, asked at each redraw: a link that is down brings no outcome to redraw for.
    total: images to come (None: not known).
    """

    def __init__(
        self, up: Callable[[], bool], summary: Summary, total: int | None, console: Console | None = None
    ) -> None:
        self._summary = summary
        console = console or terminal()
        wide = console.width >= WIDE
        self._progress = Progress(
            SpinnerColumn(),
            *((BarColumn(bar_width=16),) if wide else ()),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            *((TimeRemainingColumn(),) if wide else ()),
            _LinkColumn(up),
            TextColumn("{task.description}", table_column=Column(no_wrap=False)),  # a second line, if need be
            console=console,
            disable=not console.file.isatty(),
            redirect_stdout=sys.stdout.isatty(),  # answers that go elsewhere are none of the terminal's
            refresh_per_second=4,
        )
        self._next_s = 0.0
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._next_s = 0.0
        self.refresh()
        self._progress.stop()

    def refresh(self) -> None:
        """Show the summary as it stands, at most four times a second."""
        if self._progress.disable or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + 0.25
        self._progress.update(self._task, completed=self._summary.sent, description=told(self._summary))

    def tell(self, line: str) -> None:
        """Print a line to standard output, above what is drawn where that is the same terminal."""
        say(line)


def told(summary: Summary) -> str:
    """What is known of a run so far; where nothing was lost, it fits a line of 80 columns."""
    values = summary.as_dict()
    parts = [f"{name} {values[name]}" for name in ("lost", "expired", "skipped") if values[name]]
    if summary.accuracy is not None:
        parts.append(f"accuracy {100 * summary.accuracy:.1f} %")
    texts = {"mean_symbols": "{:.1f} symbols", "snr_est_db": "SNR {:.1f} dB", "p50_ms": "p50 {:.1f} ms"}
    parts += [text.format(values[name]) for name, text in texts.items() if values[name] is not None]
    return "  ".join(parts)


class _LinkColumn(ProgressColumn):
    """Whether the link is up at the moment of drawing."""

    def __init__(self, up: Callable[[], bool]) -> None:
        super().__init__(Column(no_wrap=True))
        self._up = up

    def render(self, task: Task) -> Text:
        return Text("link up") if self._up() else Text("link down", "red")
