"""A tour of the three processes: real images over several channels and SNRs, one row of numbers each.

Knows nothing about how any of the three works: it starts the commands as a person would and reads what they print.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from common.console import tell
from common.errors import SemlinkError
from training.lab.processes import Command, start_emulator, start_receiver
from training.report.figures import Curve, Panel
from training.report.progress import Advance, bar

STREAM, SEED = 1, 0
EXIT_LOST = 1
RUNS = (
    ("awgn", -5.0, 360, ("--fading", "none")),
    ("awgn", 0.0, 360, ("--fading", "none")),
    ("awgn", 5.0, 360, ("--fading", "none")),
    ("awgn", 10.0, 360, ("--fading", "none")),
    ("awgn", 20.0, 360, ("--fading", "none")),
    ("rayleigh", 0.0, 720, ("--fading", "rayleigh", "--doppler", "3.9e-4")),
    ("rayleigh", 5.0, 720, ("--fading", "rayleigh", "--doppler", "3.9e-4")),
    ("rayleigh", 10.0, 720, ("--fading", "rayleigh", "--doppler", "3.9e-4")),
    ("rayleigh", 20.0, 720, ("--fading", "rayleigh", "--doppler", "3.9e-4")),
)
"""Channel, set SNR (dB), images, flags. The faster Doppler (0.05 per frame) puts 36 cycles of fading into a run."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run: what was set, what came back."""

    channel: str
    snr_db: float
    snr_est_db: float | None
    """None: no answer came."""
    images: int
    accuracy: float | None
    """None: without labels."""
    mean_symbols: float
    p50_ms: float
    p99_ms: float
    lost: int
    expired: int

    @property
    def percent(self) -> float | None:
        """The accuracy, in percent."""
        return None if self.accuracy is None else 100 * self.accuracy


def run(model: str, console: Console, backend: str = "auto") -> list[Row]:
    """One receiver for all runs, one emulator and one transmitter for each. backend: of the
    transmitter, told as it turns out.
    """
    rows: list[Row] = []
    receiver, upstream = start_receiver("--model", model)
    with receiver:
        for channel, snr_db, images, flags in RUNS:
            name = f"{channel} {snr_db:g} dB"
            emulator, port = start_emulator(upstream, "--snr", f"{snr_db:g}", "--seed", str(SEED), *flags)
            with (
                emulator,
                _transmitter(model, port, images, backend) as transmitter,
                bar(console, name, images) as advance,
            ):
                summary = _follow(transmitter, advance)
                if not rows:
                    tell(transmitter.wait_for(r"encodes by \w+")[0])
            rows.append(_row(channel, snr_db, summary))
            if not console.is_terminal:
                tell(f"{name}: {rows[-1].images} images answered")
            if rows[-1].images + rows[-1].lost + rows[-1].expired != images:
                raise SemlinkError(f"{images} images were to be sent, and the summary says {summary}")
    return rows


def _transmitter(model: str, port: int, images: int, backend: str) -> Command:
    return Command(
        "sctx",
        "--peer",
        f"127.0.0.1:{port}",
        "--model",
        model,
        "--backend",
        backend,
        "--count",
        str(images),
        "--stream",
        str(STREAM),
        "--json",
    )


def _follow(transmitter: Command, advance: Advance) -> dict[str, Any]:
    correct = labelled = answered = symbols = 0
    summary: dict[str, Any] = {}
    for line in transmitter.lines():
        item = json.loads(line)
        if "summary" in item:
            summary = item["summary"]
            continue
        answered += 1
        labelled += item["label"] is not None
        correct += item["label"] is not None and item["answer"] == item["label"]
        symbols += item["symbols"]
        so_far = f"accuracy {_share(correct, labelled)}  symbols {symbols / answered:5.1f}"
        seen = "" if item["snr_est_db"] is None else f"  SNR {item['snr_est_db']:5.1f} dB"
        advance(now=f"{so_far}{seen}")
    if transmitter.wait(30) not in (0, EXIT_LOST) or not summary:
        raise transmitter.failure("failed")
    return summary


def _share(correct: int, labelled: int) -> str:
    return f"{100 * correct / labelled:5.1f} %" if labelled else "  (no labels)"


def _row(channel: str, snr_db: float, summary: dict[str, Any]) -> Row:
    return Row(
        channel=channel,
        snr_db=snr_db,
        snr_est_db=summary["snr_est_db"],
        images=summary["answered"],
        accuracy=round(summary["correct"] / summary["labelled"], 4) if summary["labelled"] else None,
        mean_symbols=summary["mean_symbols"],
        p50_ms=summary["p50_ms"],
        p99_ms=summary["p99_ms"],
        lost=summary["lost"],
        expired=summary["expired"],
    )


def panels(rows: Sequence[Row]) -> list[Panel]:
    """What the receiver answers, and what the transmitter spends on it."""
    by_channel = {name: [row for row in rows if row.channel == name] for name in dict.fromkeys(r.channel for r in rows)}
    right = [
        Curve(name, [row.snr_db for row in part], [math.nan if row.percent is None else row.percent for row in part])
        for name, part in by_channel.items()
    ]
    spent = [
        Curve(name, [row.snr_db for row in part], [row.mean_symbols for row in part])
        for name, part in by_channel.items()
    ]
    snr = "average Es/N0 (dB)"
    return [
        Panel(right, snr, "accuracy (%)", "what the receiver answers"),
        Panel(spent, snr, "payload symbols per image", "what the transmitter spends", from_zero=True),
    ]
