"""Pictures and labels in the rows of Parquet: one reader for files and for the Hub.

Knows nothing about splits, models or how a picture is coded. Rows are read in small batches, one column at a time, so
that a file never takes much more memory than its largest row. A path in a row is never opened.

    pictures   bytes, or a struct with `bytes` as `datasets` writes it; column `image` or `img`, or the only such one
    labels     numbers with names in the schema, strings, or numbers alone; the column `label`, or the only ClassLabel,
               or the only one of LABELS
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, SemlinkError, by_pip
from common.images.names import MAX_CLASSES, UNKNOWN, Labels, class_name, class_names
from common.images.photo import one_line, shown

PICTURES = ("image", "img")
LABEL = "label"
LABELS = (LABEL, "labels", "class", "cls", "category", "target")
"""What the column is called where nobody declares it, in small or capital letters."""
BATCH_BYTES, BATCH_ROWS = 64 << 20, 256
UNPACKED_BYTES, UNPACKED_TIMES = 1 << 30, 100
"""A group of rows that is larger than this and so many times as large as its file is no table of pictures."""

Batches = Callable[[str], Iterator[Any]]
"""Name of a column -> its rows, as Arrow arrays one after the other."""


@dataclass(frozen=True, slots=True)
class Table:
    """One Parquet file, or one split on the Hub. schema: a pyarrow schema. count: rows; None: not known yet."""

    where: str
    schema: Any
    batches: Batches
    count: int | None = None

    def labels(self, names_only: bool = False) -> Labels:
        """Every row's label. DataError names the column and the row that cannot be one.

        names_only: the index may be left empty, where the names are known without it.
        """
        column = self._label_column()
        if column is None:
            return Labels(self.where, (), np.full(0 if names_only else self.rows(), UNKNOWN), "given")
        where, told = f"column `{column}` of {self.where}", _features(self.schema).get(column, {}).get("names")
        with reading(where):
            names = class_names(told, where) if isinstance(told, list) else ()
            if names and names_only:
                return Labels(self.where, names, np.empty(0, np.int64), "given")
            labels = _Reader(self, column).read(names)
        if self.count not in (None, len(labels.index)):
            raise DataError(f"{where} has {len(labels.index)} rows of the {self.count} that there should be")
        return labels

    def label_note(self) -> list[str]:
        """One line where the labels are in a column of another name than `label`, or there is none."""
        column = self._label_column()
        if column is None:
            return [f"{self.where} has no column `{LABEL}`; it has {', '.join(self._columns())}"]
        return [] if column == LABEL else [f"{self.where}: column `{column}` is taken as the label"]

    def picture_column(self) -> str:
        """The column that holds the pictures; DataError where none does, or several do and none has the usual name."""
        columns = self._columns()
        usual = [name for name in PICTURES if name in columns and _holds_bytes(self._type(name))]
        declared = [name for name in columns if _features(self.schema).get(name, {}).get("_type") == "Image"]
        others = [name for name in declared or columns if _holds_bytes(self._type(name)) and name != LABEL]
        found = usual or others
        if len(found) > 1:
            raise DataError(f"{self.where} has several columns of pictures ({', '.join(found)}): rename one to `image`")
        if found:
            return found[0]
        if near := next((name for name in (*PICTURES, *declared) if name in columns), None):
            raise DataError(
                f"{self.where}: column `{near}` is {self._type(near)} from row 0 on and holds no encoded pictures; "
                "write them as bytes (a path in a table is never opened)"
            )
        raise DataError(f"{self.where} has no column `img` or `image` of pictures; it has {', '.join(columns)}")

    def pictures(self, rows: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
        """Number and encoded picture of each of `rows`, int64 [N], ascending; no bytes where a row holds none."""
        column, wanted, first = self.picture_column(), iter(rows.tolist()), 0
        row = next(wanted, None)
        with reading(self.where):
            for array in self.batches(column):
                at = array.type.get_field_index("bytes") if hasattr(array.type, "get_field_index") else -1
                cells = array if at < 0 else array.flatten()[at]
                while row is not None and row < first + len(array):
                    yield row, cells[row - first].as_py() or b""
                    row = next(wanted, None)
                first += len(array)
                if row is None:
                    return
        if row is not None:
            raise DataError(f"cannot read row {row} of {self.where}: it ends at row {first}; fetch or write it again")

    def rows(self) -> int:
        """How many there are; read to the end where nobody said so."""
        if self.count is not None:
            return self.count
        with reading(self.where):
            return sum(len(array) for array in self.batches(self.picture_column()))

    def _label_column(self) -> str | None:
        columns = self._columns()
        if LABEL in columns:
            return LABEL
        classes = [name for name in columns if _features(self.schema).get(name, {}).get("_type") == "ClassLabel"]
        found = classes or [one for one in columns if one.lower() in LABELS and _may_be_label(self._type(one))]
        if len(found) > 1:
            raise DataError(f"{self.where} has several columns of labels ({', '.join(found)}): rename one to `label`")
        return found[0] if found else None

    def _columns(self) -> list[str]:
        """DataError where a name is there twice."""
        names = list(self.schema.names)
        if twice := next((name for name in (*PICTURES, LABEL) if names.count(name) > 1), None):
            raise DataError(f"{self.where} has two columns `{twice}`; rename one")
        return names

    def _type(self, column: str) -> Any:
        return self.schema.field(self.schema.names.index(column)).type


class _Reader:
    """A column of labels -> names and indices, batch by batch."""

    def __init__(self, table: Table, column: str) -> None:
        self.table, self.column, self.rows = table, column, 0
        self.known: dict[str, int] = {}

    def read(self, names: tuple[str, ...]) -> Labels:
        import pyarrow

        is_type = pyarrow.types
        parts, order = [np.empty(0, np.int64)], "sorted"
        for array in self.table.batches(self.column):
            plain = array.dictionary_decode() if is_type.is_dictionary(array.type) else array
            if is_type.is_integer(plain.type):
                order = "given" if names else "numbers"
                parts.append(self._numbers(plain, len(names) if names else MAX_CLASSES, bool(names)))
            elif _is_text(plain.type) or is_type.is_boolean(plain.type):
                parts.append(self._words(plain.cast(pyarrow.large_string())))
            elif is_type.is_null(plain.type):
                parts.append(np.full(len(plain), UNKNOWN))
            else:
                raise self._wrong(plain)
            self.rows += len(plain)
        where, index = self.table.where, np.concatenate(parts)
        if order == "given":
            return Labels(where, names, index, "given")
        if order == "numbers":
            values = np.unique(index[index != UNKNOWN])
            index[index != UNKNOWN] = np.searchsorted(values, index[index != UNKNOWN])
            return Labels(where, tuple(map(str, values.tolist())), index, "numbers")
        return Labels(where, tuple(self.known), index, "sorted")

    def _numbers(self, array: Any, count: int, named: bool) -> NDArray[np.int64]:
        """-1 stands for no label, as on the Hub in test splits."""
        values = [UNKNOWN if value is None else value for value in array.to_pylist()]
        for row, value in enumerate(values, self.rows):
            if not UNKNOWN <= value < count:
                has = f"the schema names {count} classes" if named else f"labels go from 0 to {count - 1}"
                raise DataError(f"{self._row(row - self.rows)} is {value}, but {has}; mend it")
        return np.array(values, np.int64)

    def _words(self, array: Any) -> NDArray[np.int64]:
        coded = array.dictionary_encode()
        places = []
        for place, word in enumerate(coded.dictionary.to_pylist()):
            name = class_name(word, self._row(coded.indices.index(place).as_py()))
            places.append(self.known.setdefault(name, len(self.known)) if name else UNKNOWN)
        if len(self.known) > MAX_CLASSES:
            raise DataError(f"{self.table.where}: column `{self.column}` has more than {MAX_CLASSES} classes")
        index: NDArray[np.int32] = coded.indices.fill_null(len(places)).to_numpy(zero_copy_only=False)
        return np.array([*places, UNKNOWN], np.int64)[index]

    def _wrong(self, array: Any) -> DataError:
        row, value = next(((k, one) for k, one in enumerate(array.to_pylist()) if one is not None), (0, None))
        return DataError(f"{self._row(row)} is {str(value)[:40]!a} ({array.type}), no label; write integers or strings")

    def _row(self, row: int) -> str:
        return f"{self.table.where}: column `{self.column}`, row {self.rows + row}"


def open_parquet(path: Path) -> Table:
    """A Parquet file. ConfigError without pyarrow, DataError where it cannot be read."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"Parquet needs pyarrow: install it by {by_pip('parquet')}") from error
    where = shown(path)

    def batches(column: str) -> Iterator[Any]:
        with path.open("rb") as raw, parquet.ParquetFile(raw, buffer_size=1 << 20, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                rows = _rows_at_once(file.metadata.row_group(group).total_byte_size, path.stat().st_size, where)
                for batch in file.iter_batches(rows, row_groups=[group], columns=[column], use_threads=False):
                    yield batch.column(0)

    with reading(where), path.open("rb") as raw, parquet.ParquetFile(raw) as file:
        return Table(where, file.schema_arrow, batches, file.metadata.num_rows)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Errors of whoever reads a table for us, each with its own, become DataError in one line."""
    try:
        yield
    except (SemlinkError, ImportError):
        raise
    except Exception as error:
        raise DataError(f"cannot read {where}: {one_line(error)}; fetch or write it again") from error


def _rows_at_once(unpacked: int, packed: int, where: str) -> int:
    """So few that they fit into BATCH_BYTES were each as large as the whole: one value can stand for every row.

    unpacked: bytes of a row group as its file says; packed: bytes of the file. (pyarrow says it of each column too, but
    there a damaged file ends the process.)
    """
    if unpacked > max(UNPACKED_BYTES, UNPACKED_TIMES * packed):
        raise DataError(f"{where} unpacks from {packed:,} bytes to {unpacked:,}: not read")
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, unpacked)))


def _features(schema: Any) -> Mapping[str, Any]:
    """What `datasets` wrote about the columns; nothing where it did not, or where it is damaged."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: one for name, one in found.items() if isinstance(one, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _holds_bytes(kind: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_struct(kind):
        return "bytes" in [kind.field(k).name for k in range(kind.num_fields)] and _is_bytes(kind.field("bytes").type)
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow

    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    tests = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
    return any(getattr(pyarrow.types, test)(kind) for test in tests)


def _may_be_label(kind: Any) -> bool:
    import pyarrow

    kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
    return _is_text(kind) or pyarrow.types.is_integer(kind) or pyarrow.types.is_boolean(kind)


def _is_text(kind: Any) -> bool:
    import pyarrow

    return any(getattr(pyarrow.types, test)(kind) for test in ("is_string", "is_large_string", "is_string_view"))
