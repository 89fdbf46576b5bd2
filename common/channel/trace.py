"""Channels that somebody measured or computed: SNR over time, gains over time. Knows nothing about their origin.

SNR trace: `.csv` with columns air_sample,snr_db, or `.npz` with arrays of those names; each value holds until the next.
CIR trace: `.npz` with `h`, complex [T], and `interval`, the symbols between two values; `.csv` with columns
           air_sample,re,im. Straight lines between values; after the last value it starts again.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.channel.table import read_columns
from common.errors import ConfigError


class SnrTrace:
    """Noise amplitude over time: the SNR of the last row at or before a sample; the first row is at sample 0."""

    def __init__(self, path: Path) -> None:
        columns = ("air_sample", "snr_db")
        table = _arrays(path, columns) if path.suffix == ".npz" else list(read_columns(path, columns).T)
        self._at = _times(path, table[0].astype(np.float64))
        snr_db = table[1].astype(np.float64)
        if snr_db.shape != self._at.shape or not (np.isfinite(snr_db) & (np.abs(snr_db) <= 120.0)).all():
            raise ConfigError(
                f"SNR trace {path}: snr_db must be one finite value of at most 120 dB for each air_sample"
            )
        self._amplitude = (10.0 ** (-snr_db / 20.0)).astype(np.float32)

    def amplitudes(self, start: int, count: int) -> NDArray[np.float32]:
        """sqrt(N0) at start..start+count-1: float32 [count]."""
        return self._amplitude[np.searchsorted(self._at, np.arange(start, start + count), side="right") - 1]


class CirTrace:
    """Flat gain over time."""

    def __init__(self, path: Path) -> None:
        if path.suffix == ".npz":
            h, interval = _arrays(path, ("h", "interval"))
            if h.ndim != 1 or h.size < 2 or interval.size != 1 or not 1.0 <= interval.real.item() <= 1e9:
                raise ConfigError(f"CIR trace {path}: h must be complex [T >= 2] and interval one number of 1 to 1e9")
            self._h, self._at = h.astype(np.complex128), np.arange(h.size) * float(interval.real.item())
        else:
            at, re, im = read_columns(path, ("air_sample", "re", "im")).T
            self._h, self._at = re + 1j * im, _times(path, at)
        if not np.isfinite(self._h).all():
            raise ConfigError(f"CIR trace {path}: a gain is not finite")
        self.length = int(self._at[-1])

    def samples(self, start: int, count: int) -> NDArray[np.complex64]:
        """h at start..start+count-1: complex64 [count]."""
        where = (start % self.length + np.arange(count)) % self.length
        return np.interp(where, self._at, self._h).astype(np.complex64)


def _times(path: Path, at: NDArray[np.float64]) -> NDArray[np.float64]:
    if at.ndim != 1 or at.size < 2:
        raise ConfigError(f"trace {path} is too short: it needs at least 2 rows")
    if at[0] != 0.0 or np.any(np.diff(at) < 1.0):
        raise ConfigError(f"trace {path}: air_sample must start at 0 and rise by at least 1 from row to row")
    return at


def _arrays(path: Path, names: tuple[str, ...]) -> list[NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = [np.asarray(file[name]) for name in names]
        if strange := [name for name, array in zip(names, found, strict=True) if array.dtype.kind not in "iufc"]:
            raise ValueError(f"{', '.join(strange)}: not numbers")
        return found
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:  # TypeError: one array
        raise ConfigError(f"trace {path} cannot be read: {error}; expected arrays {', '.join(names)}") from error
