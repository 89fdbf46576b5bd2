"""CSV tables from a user: delay profiles, spectra, traces, schedules. Knows nothing about what the columns mean."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError


def read_rows(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """Data rows of a CSV file as text, blank lines, `#` comments and a header line left out; at least one row.

    Every row has exactly len(columns) cells, or ConfigError names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    rows: list[list[str]] = []
    for number, cells in enumerate(csv.reader(text.splitlines()), start=1):
        row = [cell.strip() for cell in cells]
        if not any(row) or row[0].startswith("#") or (not rows and tuple(map(str.lower, row)) == columns):
            continue
        if len(row) != len(columns):
            raise ConfigError(f"{path}, line {number}: {len(row)} columns instead of {','.join(columns)}")
        rows.append(row)
    if not rows:
        raise ConfigError(f"{path} has no rows; expected columns {','.join(columns)}")
    return rows


def read_columns(path: Path, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """All rows as finite numbers: float64 [rows, len(columns)]."""
    rows = read_rows(path, columns)
    try:
        table = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; expected numbers in columns {','.join(columns)}") from error
    if not np.isfinite(table).all():
        raise ConfigError(f"{path}: a number is not finite; expected columns {','.join(columns)}")
    return table
