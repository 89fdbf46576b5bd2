"""CSV tables from a user: delay profiles, spectra, traces, schedules. Knows nothing about what the columns mean.

What spreadsheets write is read: a byte order mark, UTF-16, CRLF, cells in quotes, blank rows, empty cells at the end
of a row, a semicolon (and then a comma as decimal point) or a tab between cells. A header row decides which column is
which.
"""

import codecs
import csv
import io
import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.inputs import PATH, open_regular
from common.text import safe

_LONGEST_LINE = 1 << 20
_DECIMAL = re.compile(r"[+-]?\d*([.,])\d+(?:[eE][+-]?\d+)?")

Row = tuple[int, list[str]]
"""Number of a line, and its cells."""


def read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    """Data rows of a CSV file one by one; blank lines, `#` comments and a header row are left out.

    Every row has exactly len(columns) cells, in the order of `columns`, or ConfigError names the line. There is at
    least one row.
    """
    with open_regular(path) as file:
        try:
            with io.TextIOWrapper(file, _encoding(file), newline="") as text:
                yield from _rows(path, columns, text)
        except (OSError, UnicodeError, csv.Error) as error:
            raise ConfigError(f"{safe(path, PATH)} cannot be read: {error}") from None


def read_columns(path: Path, columns: tuple[str, ...]) -> NDArray[np.float64]:
    """All rows as finite numbers: float64 [rows, len(columns)]."""
    numbers = array("d")
    for line, row in read_rows(path, columns):
        try:
            numbers.extend(map(as_number, row))
        except ValueError as error:
            raise ConfigError(f"{safe(path, PATH)}, line {line}: {error}; expected {','.join(columns)}") from None
    table = np.array(numbers, np.float64).reshape(-1, len(columns))
    if not np.isfinite(table).all():
        raise ConfigError(f"{safe(path, PATH)}: a number is not finite; expected columns {','.join(columns)}")
    return table


def as_number(cell: str) -> float:
    """A cell as a number; ValueError says what is wrong with it."""
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"'{safe(cell, 60)}' is not a number") from None


def _rows(path: Path, columns: tuple[str, ...], text: io.TextIOWrapper) -> Iterator[Row]:
    delimiter, skipped = _delimiter(text)
    reader = csv.reader(iter(lambda: text.readline(_LONGEST_LINE), ""), delimiter=delimiter, strict=True)
    order, width, count = tuple(range(len(columns))), len(columns), 0
    points = _Points()
    for cells in reader:
        row = [cell.strip() for cell in cells]
        if not any(row) or row[0].startswith("#"):
            continue
        line = reader.line_num + skipped
        if not count and width == len(columns) and (named := _header(row, columns)):
            order, width, count = named, len(row), -1
            continue
        if max(order) >= len(row) or any(row[width:]):
            raise ConfigError(f"{safe(path, PATH)}, line {line}: {len(row)} columns instead of {','.join(columns)}")
        count = max(count, 0) + 1
        picked = [row[at] for at in order]
        if delimiter == ";":
            picked = [points.read(cell, f"{safe(path, PATH)}, line {line}") for cell in picked]
        yield line, picked
    if count < 1:
        raise ConfigError(f"{safe(path, PATH)} has no rows; expected columns {','.join(columns)}")


def _encoding(file: io.BufferedReader) -> str:
    """By the byte order mark; leaves the file at its beginning."""
    start = file.read(4)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _delimiter(text: io.TextIOWrapper) -> tuple[str, int]:
    """What stands between cells, by the first line that is none of `#`; and the lines that were used up (`sep=;`)."""
    for number in range(1000):
        line = text.readline(65536)
        if not line:
            break
        if number == 0 and (said := re.fullmatch(r'"?sep=([,;\t])"?\s*', line, re.IGNORECASE)):
            return said[1], 1
        bare = re.sub(r'"[^"]*"', "", line)
        if not line.lstrip().startswith("#") and line.strip('\r\n \t,;"'):
            text.seek(0)
            return next((mark for mark in ";\t" if mark in bare), ","), 0
    text.seek(0)
    return ",", 0


def _header(row: list[str], columns: tuple[str, ...]) -> tuple[int, ...]:
    """Where each column stands, if the row names them all (others may stand between); else nothing."""
    names = [cell.lower() for cell in row]
    return tuple(map(names.index, columns)) if all(names.count(name) == 1 for name in columns) else ()


class _Points:
    """Decimal commas, where semicolons stand between cells. A comma and a point in one file could mean anything."""

    def __init__(self) -> None:
        self._seen = ""

    def read(self, cell: str, where: str) -> str:
        found = _DECIMAL.fullmatch(cell)
        if not found:
            return cell
        if self._seen not in ("", found[1]):
            why = "numbers with a comma and numbers with a point in one file"
            raise ConfigError(f"{where}: '{safe(cell, 60)}': {why}")
        self._seen = found[1]
        return cell.replace(",", ".")
