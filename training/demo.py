"""`make demo`: the main job, end to end. Three real processes, real images, several SNRs, one table, one figure.

Knows nothing about how any of the three works, or how they are run (`lab/tour.py`).
"""

import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from common.console import say
from common.errors import SemlinkError
from common.files import OutFolder, write_json
from common.pair.manifest import find_pair
from common.pair.networks import AUTO, BACKENDS
from training.lab import enrolled
from training.lab.tour import Row, panels, run
from training.report.figures import draw
from training.report.progress import bar
from training.report.tabular import print_table

ASKED = 200
"""Pictures of the new classes that are asked about."""


@click.command()
@click.option("--out", type=OutFolder(), default=Path("build/demo"), show_default=True, help="For table and figure.")
@click.option("--model", default="digits", show_default=True, help="Model pair: a shipped name or a directory.")
@click.option("--backend", type=click.Choice(BACKENDS), default=AUTO, show_default=True, help="What encodes.")
def command(out: Path, model: str, backend: str) -> None:
    """Run the three processes over several channels and write demo.json and demo.png."""
    say("semlink: image -> symbols -> noise and fading -> SNR estimate -> answer, and the SNR back")
    started = time.monotonic()
    console = Console(stderr=True)
    rows = run(str(find_pair(model).path), console, backend)  # which pair it is is said once
    show(model, rows)
    with bar(console, "new classes", enrolled.steps(ASKED)) as advance:
        taught = enrolled.enrol(ASKED, backend, advance)
    say(told(taught))
    write_json(out / "demo.json", [*map(asdict, rows), {"enrolled": asdict(taught)}])
    draw(out / "demo.png", [[*panels(rows), enrolled.panel(taught)]])
    say(f"{out / 'demo.json'} and {out / 'demo.png'} written after {time.monotonic() - started:.0f} s")
    bad = sum(row.lost + row.expired for row in rows)
    if bad:
        raise SemlinkError(f"{bad} images were lost or expired, and none should be")


def show(model: str, rows: list[Row]) -> None:
    """One row per run."""
    print_table(
        f"{Path(model).name} test images over the real processes",
        ("channel", "set dB", "est. dB", "images", "accuracy", "symbols/image", "p50 ms", "p99 ms", "lost/expired"),
        [(r.channel, f"{r.snr_db:.1f}", _number(r.snr_est_db), r.images, f"{_number(r.percent)} %",
          f"{r.mean_symbols:.1f}", f"{r.p50_ms:.1f}", f"{r.p99_ms:.1f}", f"{r.lost}/{r.expired}") for r in rows],
        left=("channel",),
    )  # fmt: skip


def told(found: enrolled.Enrolled) -> str:
    """In a sentence."""
    course = ", ".join(f"{100 * share:.0f} % after {count} of each" for count, share in found.course[1:])
    return (
        f"classes that nobody trained: {found.model} knows photographs alone, and is shown {found.images} handwritten "
        f"digits of {len(found.classes)} classes: {100 * found.before:.0f} % are named rightly at first, {course} were "
        f"enrolled at the receiver ({found.channel}, {found.snr_db:g} dB, {found.symbols} symbols; by chance "
        f"{100 / len(found.classes):.0f} %)"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def main() -> None:
    """Entry point: one line and an exit code instead of a traceback."""
    from common.cli import invoke

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the three processes are stopped then, too
    invoke(command, "SEMLINK_DEMO", sys.argv[1:], name="python -m training.demo")


if __name__ == "__main__":
    main()
