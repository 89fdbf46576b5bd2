"""Measured points of accuracy, and the panel that they make. Knows nothing about how they were measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.report.figures import Curve, Panel


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point. n: channel uses, pilots counted; accuracy and ci95: 0..1; seeds: channels per image."""

    system: str
    channel: str
    csi: str
    n: int
    snr_db: float
    accuracy: float
    ci95: tuple[float, float]
    seeds: int
    mean_symbols: float
    told: str = "average"
    difference: tuple[float, float, float] | None = None
    """Accuracy less that of the first of the compared, paired over images, and its interval."""
    words: str = "told"
    """Symbols of the word: a number, or as what was told asks for."""
    missed: float = float("nan")
    """Share of the features' variance that the receiver misses."""


def by_curve(points: Sequence[Point]) -> dict[tuple[str, str, float, int, str, str], list[Point]]:
    """(channel, csi, symbols, n, told, words) -> its points by SNR."""
    found: dict[tuple[str, str, float, int, str, str], list[Point]] = {}
    for point in points:
        key = (point.channel, point.csi, point.mean_symbols, point.n, point.told, point.words)
        found.setdefault(key, []).append(point)
    return {key: sorted(row, key=lambda p: p.snr_db) for key, row in found.items()}


def panel(points: Sequence[Point]) -> Panel:
    """Accuracy against SNR, one curve per row."""
    curves = [
        Curve(
            f"{channel}, {csi} CSI, {symbols:g} symbols, told {told}{'' if words == 'told' else f', word of {words}'}",
            [one.snr_db for one in row],
            [100 * one.accuracy for one in row],
            [100 * one.ci95[0] for one in row],
            [100 * one.ci95[1] for one in row],
        )
        for (channel, csi, symbols, _, told, words), row in by_curve(points).items()
    ]
    return Panel(curves, "average SNR, Es/N0 in dB", "accuracy in %")
