"""A new pair for people: its accuracy table, printed and as curves. Knows nothing about how it was made."""

from rich.console import Console

from common.console import tell
from common.pair.manifest import Manifest
from training.report.figures import Panel
from training.report.points import Point
from training.report.points import panel as panel_of
from training.report.tabular import print_table


def show(manifest: Manifest, epoch_s: float, console: Console) -> None:
    """The table on `console`, and what was made. epoch_s: seconds of an epoch of the student."""
    table = manifest.accuracy
    shown = [index for index, snr in enumerate(table.snr_db) if -6 <= snr <= 22][::2]
    rows = [(rate, *(f"{100 * row[index]:.1f}" for index in shown))
            for rate, row in zip(manifest.layout.rates, table.acc, strict=True)]  # fmt: skip
    title = f"validation accuracy in %, AWGN, estimated CSI (clean {100 * table.clean:.1f})"
    print_table(title, ("symbols", *(f"{table.snr_db[index]:g} dB" for index in shown)), rows, console=console)
    tell(f"transmitter: {manifest.provenance['transmitter']}; {epoch_s:.2f} s per epoch")
    tell(f"pair: {manifest.path}, id {manifest.id[:16]}")


def panel(manifest: Manifest) -> Panel:
    """The table as curves against SNR, one per rate, without intervals."""
    table, pilots = manifest.accuracy, manifest.layout.pilots
    return panel_of(
        [
            Point(manifest.name, "awgn", "estimated", rate + pilots, snr_db, share, (share, share), 1, float(rate))
            for rate, row in zip(manifest.layout.rates, table.acc, strict=True)
            for snr_db, share in zip(table.snr_db, row, strict=True)
        ]
    )
