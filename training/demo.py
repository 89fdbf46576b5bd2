"""`make demo`: the main job, end to end. Three real processes, real images, several SNRs, one table, one figure.

Knows nothing about how any of the three works: it starts the commands as a person would and reads what they print.
"""

import json
import math
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from common.console import say, tell
from common.errors import SemlinkError
from common.files import OutFolder
from training.lab.processes import Command, start_emulator, start_receiver
from training.report.progress import print_table

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
    """None: a pair without pilots, whose receiver estimates nothing."""
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


@click.command()
@click.option(
    "--out",
    type=OutFolder(),
    default=Path("build/demo"),
    show_default=True,
    help="Folder for table and figure.",
)
@click.option("--model", default="digits", show_default=True, help="Model pair: a shipped name or a directory.")
def command(out: Path, model: str) -> None:
    """Run the three processes over several channels and write demo.json and demo.png."""
    say("semlink: image -> symbols -> noise and fading -> SNR estimate -> answer, and the SNR back")
    started = time.monotonic()
    rows = run(model, Console())
    show(model, rows)
    out.mkdir(parents=True, exist_ok=True)
    (out / "demo.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    _draw(rows, out / "demo.png")
    say(f"{out / 'demo.json'} and {out / 'demo.png'} written after {time.monotonic() - started:.0f} s")
    bad = sum(row.lost + row.expired for row in rows)
    if bad:
        raise SemlinkError(f"{bad} images were lost or expired, and none should be")


def run(model: str, console: Console) -> list[Row]:
    """One receiver for all runs, one emulator and one transmitter for each."""
    rows = []
    bar = Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
        console=console,
        disable=not console.is_terminal,
    )
    receiver, upstream = start_receiver("--model", model)
    with receiver, bar:
        for channel, snr_db, images, flags in RUNS:
            task = bar.add_task(f"{channel} {snr_db:g} dB", total=images, now="")
            emulator, port = start_emulator(upstream, "--snr", f"{snr_db:g}", "--seed", str(SEED), *flags)
            with emulator, _transmitter(model, port, images) as transmitter:
                summary = _follow(transmitter, bar, task)
            rows.append(_row(channel, snr_db, summary))
            if bar.disable:
                tell(f"{channel} {snr_db:g} dB: {rows[-1].images} images answered")
            if rows[-1].images + rows[-1].lost + rows[-1].expired != images:
                raise SemlinkError(f"{images} images were to be sent, and the summary says {summary}")
    return rows


def _transmitter(model: str, port: int, images: int) -> Command:
    return Command(
        "sctx",
        "--peer",
        f"127.0.0.1:{port}",
        "--model",
        model,
        "--count",
        str(images),
        "--stream",
        str(STREAM),
        "--json",
    )


def _follow(transmitter: Command, bar: Progress, task: Any) -> dict[str, Any]:
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
        bar.update(task, completed=answered, now=f"{so_far}{seen}")
    if transmitter.wait(30) not in (0, EXIT_LOST) or not summary:
        raise SemlinkError(f"sctx failed: {transmitter.said or 'no summary'}")
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


def show(model: str, rows: list[Row]) -> None:
    """One row per run."""
    print_table(
        f"{Path(model).name} test images over the real processes",
        ("channel", "set dB", "est. dB", "images", "accuracy", "symbols/image", "p50 ms", "p99 ms", "lost/expired"),
        [(r.channel, f"{r.snr_db:.1f}", _number(r.snr_est_db), r.images, f"{_number(r.percent)} %",
          f"{r.mean_symbols:.1f}", f"{r.p50_ms:.1f}", f"{r.p99_ms:.1f}", f"{r.lost}/{r.expired}") for r in rows],
        left=("channel",),
    )  # fmt: skip


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _draw(rows: list[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for channel in dict.fromkeys(row.channel for row in rows):
        points = [row for row in rows if row.channel == channel]
        snrs = [row.snr_db for row in points]
        shares = [math.nan if row.percent is None else row.percent for row in points]
        left.plot(snrs, shares, marker="o", label=channel)
        right.plot(snrs, [row.mean_symbols for row in points], marker="o", label=channel)
    left.set(xlabel="average Es/N0 (dB)", ylabel="accuracy (%)", title="what the receiver answers")
    right.set(
        xlabel="average Es/N0 (dB)",
        ylabel="payload symbols per image",
        title="what the transmitter spends",
        ylim=(0, None),
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the three processes are stopped then, too
    invoke(command, "SEMLINK_DEMO", sys.argv[1:], name="python -m training.demo")


if __name__ == "__main__":
    main()
