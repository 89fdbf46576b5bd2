"""Channels that somebody measured or computed: SNR over time, gains over time. Knows nothing about their origin.

SNR trace: `.csv` with columns air_sample,snr_db, or `.npz` with arrays of those names; each value holds until the next.
CIR trace: `.npz` with `h`, complex [T], and `interval`, the symbols between two values; `.csv` with columns
           air_sample,re,im. Straight lines between values; after the last value it starts again.
"""

import math
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.csvfile import read_columns
from common.errors import ConfigError
from common.inputs import MOST_BYTES, PATH, open_regular
from common.text import safe

LARGEST = 1e9
"""Of a gain in amplitude, 180 dB: the power of what it multiplies stays a number."""


class SnrTrace:
    """Noise amplitude over time: the SNR of the last row at or before a sample; the first row is at sample 0."""

    def __init__(self, path: Path) -> None:
        columns = ("air_sample", "snr_db")
        table = _arrays(path, columns, "iuf") if path.suffix == ".npz" else list(read_columns(path, columns).T)
        self._at = _times(path, table[0].astype(np.float64))
        snr_db = table[1].astype(np.float64)
        if snr_db.shape != self._at.shape or not (np.isfinite(snr_db) & (np.abs(snr_db) <= 120.0)).all():
            raise ConfigError(
                f"SNR trace {safe(path, PATH)}: snr_db must be one finite value of at most 120 dB for each air_sample"
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
                told = "h must be complex [T >= 2] and interval one number of 1 to 1e9"
                raise ConfigError(f"CIR trace {safe(path, PATH)}: {told}")
            self._h, self._at = h.astype(np.complex128), np.arange(h.size) * float(interval.real.item())
        else:
            at, re, im = read_columns(path, ("air_sample", "re", "im")).T
            self._h, self._at = re + 1j * im, _times(path, at)
        if not (np.abs(self._h) <= LARGEST).all():  # not a number is neither
            raise ConfigError(f"CIR trace {safe(path, PATH)}: a gain is not finite, or beyond {LARGEST:g}: scale them")
        self.length = int(self._at[-1])

    def samples(self, start: int, count: int) -> NDArray[np.complex64]:
        """h at start..start+count-1: complex64 [count]."""
        where = (start % self.length + np.arange(count)) % self.length
        return np.interp(where, self._at, self._h).astype(np.complex64)


def _times(path: Path, at: NDArray[np.float64]) -> NDArray[np.float64]:
    if at.ndim != 1 or at.size < 2:
        raise ConfigError(f"trace {safe(path, PATH)} is too short: it needs at least 2 rows")
    if at[0] != 0.0 or not (np.diff(at) >= 1.0).all() or at[-1] > 2.0**53:  # not a number is neither
        why = "air_sample must start at 0 and rise by at least 1 from row to row"
        raise ConfigError(f"trace {safe(path, PATH)}: {why}")
    return at


def _arrays(path: Path, names: tuple[str, ...], kinds: str = "iufc") -> list[NDArray[np.generic]]:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            return [_array(archive, f"{name}.npy", kinds) for name in names]
    except ConfigError:
        raise
    except Exception as error:  # zip, deflate, header and array each raise a handful of classes of their own
        why = safe(error) or type(error).__name__
        told = f"trace {safe(path, PATH)} cannot be read: {why}"
        raise ConfigError(f"{told}; expected arrays {', '.join(names)}") from None


def _array(archive: zipfile.ZipFile, member: str, kinds: str) -> NDArray[np.generic]:
    """One array of an archive. What it claims to be is compared with what is there before memory is spent on it."""
    entry = archive.getinfo(member)
    if entry.file_size > MOST_BYTES:
        raise ValueError(f"{member} claims {entry.file_size} bytes; at most {MOST_BYTES} are read")
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, columns_first, dtype = read(file)
        data = file.read(entry.file_size)
    if dtype.kind not in kinds:
        raise ValueError(f"{member}: not {'numbers' if 'c' in kinds else 'real numbers'}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{member} has {len(data)} bytes of numbers and not {math.prod(shape) * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")
