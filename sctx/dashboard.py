"""A run as it happens, on a terminal; nothing where standard error is not one. Knows nothing about sockets."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from sctx.summary import Summary
from sctx.transmitter import Transmitter


class Dashboard:
    """One line: progress, link state, accuracy, symbols per image, estimated SNR, latency."""

    def __init__(self, tx: Transmitter, summary: Summary, total: int | None) -> None:
        self._tx, self._summary = tx, summary
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
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
        values = self._summary.as_dict()
        accuracy = self._summary.accuracy
        state = "up" if self._tx.link.session.up else "[red]down[/red]"
        parts = [
            f"link {state}",
            "" if accuracy is None else f"accuracy {100 * accuracy:.1f} %",
            f"symbols {values['mean_symbols']}",
            f"SNR est {values['snr_est_db']} dB",
            f"p50 {values['p50_ms']} ms",
        ]
        self._progress.update(
            self._task, completed=self._summary.sent, description="  ".join(part for part in parts if part)
        )
