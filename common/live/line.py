"""A run as it happens, on a terminal: one line, two where it is narrow; nothing where standard error is no terminal,
or a dumb one, or a shell has the command in the background.

Knows nothing about what runs.
"""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TimeRemainingColumn,
)
from rich.segment import ControlType, Segment
from rich.table import Column
from rich.text import Text

from common.console import say
from common.log import terminal

WIDE = 110
"""Columns from which on there is room for a bar and the time that is left."""
EVERY_S = 0.25
State = tuple[str, bool]
"""In a word or two, and whether it is well."""


class Line:
    """state: asked at each redraw, in a thread of its own: what is down brings nothing to redraw for. told: all else,
    asked by `refresh`. done: of how many of `total` (None: not known) the end is known; without it nothing is counted.
    """

    def __init__(
        self,
        state: Callable[[], State],
        told: Callable[[], str],
        done: Callable[[], int] | None = None,
        total: int | None = None,
        console: Console | None = None,
    ) -> None:
        self._told, self._done = told, done
        console = console or terminal()
        bar: tuple[ProgressColumn, ...] = (SpinnerColumn(),)
        if done is not None:
            wide = console.width >= WIDE
            counted = MofNCompleteColumn(table_column=Column(no_wrap=True))
            bar += (BarColumn(bar_width=16), counted, TimeRemainingColumn()) if wide else (counted,)
        self._progress = Progress(
            *bar,
            _StateColumn(state),
            _ToldColumn(Column(no_wrap=False)),  # a second line, if need be
            console=console,
            disable=not console.file.isatty() or console.is_dumb_terminal,
        )
        self._progress.live = _Live(
            console=console,
            refresh_per_second=4,
            redirect_stdout=sys.stdout.isatty(),  # answers that go elsewhere are none of the terminal's
            get_renderable=lambda: _Homed(self._progress.get_renderable()),
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
        """Show what there is to tell, at most four times a second."""
        if self._progress.disable or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + EVERY_S
        self._progress.update(
            self._task, completed=self._done() if self._done is not None else None, description=self._told()
        )

    def tell(self, line: str) -> None:
        """Print a line to standard output, above what is drawn where that is the same terminal."""
        say(line)


class _Live(Live):
    """Draws while the terminal is this command's: in the background it would wipe out what somebody types there."""

    def start(self, refresh: bool = False) -> None:
        super().start(refresh)
        self.console.show_cursor(True)  # whoever stops or kills the command has one

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return super().process_renderables(renderables) if _is_ours(self.console.file) else renderables


def _is_ours(terminal: IO[str]) -> bool:
    """Whether what is typed there comes to this process."""
    try:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:  # no shell has it
        return True


class _Homed:
    """What is drawn, and then the cursor at the beginning of its last row: the `^C` that a terminal puts there takes no
    further row, of which the next drawing would not know, so that it would leave the one before it standing.
    """

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._drawn, options, pad=False)
        for line in lines[:-1]:
            yield from (*line, Segment.line())
        yield from lines[-1]
        yield Control(ControlType.CARRIAGE_RETURN)


class _StateColumn(ProgressColumn):
    """How it is at the moment of drawing."""

    def __init__(self, state: Callable[[], State]) -> None:
        super().__init__(Column(no_wrap=True))
        self._state = state

    def render(self, task: Task) -> Text:
        words, well = self._state()
        return Text(f"{words} ", "green" if well else "bold red")


class _ToldColumn(ProgressColumn):
    """What else there is to tell."""

    def render(self, task: Task) -> "_Items":
        return _Items(task.description)


class _Items:
    """Words with two spaces between; a line breaks there alone, so that no number is parted from its name."""

    def __init__(self, told: str) -> None:
        self._items = told.split("  ")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        widths = list(map(len, self._items))
        return Measurement(max(widths), sum(widths) + 2 * len(widths) - 2).clamp(max_width=options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [self._items[0]]
        for item in self._items[1:]:
            fits = len(lines[-1]) + 2 + len(item) <= options.max_width
            lines[-1:] = [f"{lines[-1]}  {item}"] if fits else [lines[-1], item]
        yield Text("\n".join(lines))
