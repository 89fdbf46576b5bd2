"""Doppler power spectra: how the power of a scattered path is spread over frequency.

Knows nothing about time, sample rates or randomness: frequency is in units of the maximum Doppler shift, nu = f / fd.

    jakes      S ~ 1 / sqrt(1 - nu^2)                          |nu| < 1   Clarke (1968), Jakes (1974)
    flat       S ~ 1                                           |nu| < 1   isotropic in three dimensions
    rounded    S ~ 1 - 1.72 nu^2 + 0.785 nu^4                  |nu| < 1   IEEE 802.16.3c-01/29, fixed wireless
    bell       S ~ 1 / (1 + 9 nu^2)                            |nu| < 1   IEEE 802.11-03/940, indoor, moving people
    gaussian   S ~ exp(-nu^2), standard deviation fd/sqrt(2)   |nu| < 4   COST 207, ionosphere
    FILE.csv   two columns, nu and S(nu), linear between rows; zero outside

`gudmundson` is the spectrum of an exponential autocorrelation exp(-2 pi |fd tau| / 10), for shadowing.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.csvfile import read_columns
from common.errors import ConfigError

Density = Callable[[NDArray[np.float64]], NDArray[np.float64]]

JAKES = "jakes"

SPECTRA: dict[str, Density] = {
    "flat": lambda nu: (np.abs(nu) < 1.0).astype(np.float64),
    "rounded": lambda nu: np.where(np.abs(nu) < 1.0, 1.0 - 1.72 * nu**2 + 0.785 * nu**4, 0.0),
    "bell": lambda nu: np.where(np.abs(nu) < 1.0, 1.0 / (1.0 + 9.0 * nu**2), 0.0),
    "gaussian": lambda nu: np.where(np.abs(nu) < 4.0, np.exp(-(nu**2)), 0.0),
}
"""Names that `--spectrum` takes beside `jakes` and a CSV file -> S(nu)."""

_OF_SHADOWING: dict[str, Density] = {"gudmundson": lambda nu: 1.0 / (1.0 + (10.0 * nu) ** 2)}

_FINE = 64
"""Points of the density per bin when it is integrated numerically."""


def bin_powers(spectrum: str, bins: int, span: float) -> NDArray[np.float64]:
    """Power in each of `bins` equal frequency bins of the band -span/2..span/2 (units of fd): float64 [bins], sum 1.

    Bin k is centred on frequency k * span / bins for k < bins/2 and on (k - bins) * span / bins above: FFT order.
    """
    edges = (np.arange(bins + 1) - bins / 2 - 0.5) * (span / bins)
    if spectrum == JAKES:  # its density is infinite at +-1, its integral arcsin(nu) / pi is not
        power = np.diff(np.arcsin(np.clip(edges, -1.0, 1.0)))
    else:
        density = (SPECTRA | _OF_SHADOWING).get(spectrum) or _from_file(spectrum)
        points = edges[:-1, None] + (np.arange(_FINE) + 0.5) * (span / bins / _FINE)
        power = density(points.ravel()).reshape(bins, _FINE).sum(axis=1)
    total = float(power.sum())
    if not np.isfinite(total) or total <= 0.0:
        raise ConfigError(f"Doppler spectrum {spectrum}: it has no power between -{span / 2:g} and {span / 2:g} fd")
    return np.fft.ifftshift(power / total)


def _from_file(spectrum: str) -> Density:
    if not spectrum.endswith(".csv"):
        raise ConfigError(f"Doppler spectrum {spectrum!r} is none of {', '.join((JAKES, *SPECTRA))} and no .csv file")
    nu, density = read_columns(Path(spectrum), ("nu", "density")).T
    if np.any(density < 0.0) or np.any(np.diff(nu) <= 0.0) or np.max(np.abs(nu)) > 4.0:
        raise ConfigError(f"Doppler spectrum {spectrum}: nu must rise within -4..4 and the density be >= 0")
    return lambda at: np.interp(at, nu, density, left=0.0, right=0.0)
