"""What is measured, drawn and written: one point of accuracy. Knows nothing about how it was measured."""

from dataclasses import dataclass


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
    """Accuracy less that of the first --told, paired over images, and its interval."""
