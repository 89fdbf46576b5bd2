"""Data sets of the Hugging Face Hub as tables, nothing written to a cache. Knows nothing about labels or pictures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.errors import ConfigError, DataError, by_pip
from common.hub.library import refusal
from common.images.tables import Table, reading

BATCH_ROWS = 64


def open_hub(spec: str, words: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, Table]]:
    """Split -> its name there and its rows. words: what each split may be called.

    ConfigError without the library or where the Hub cannot be reached, DataError where a split is there twice.
    """
    found: dict[str, tuple[str, Table]] = {}
    available = _available(spec)
    for split, known in words.items():
        names = [name for name in available if name.lower() in known]
        if len(names) > 1:
            raise DataError(f"'{spec}' has two {split} splits, {' and '.join(names)}: give a folder with one of them")
        if names:
            found[split] = names[0], _table(spec, names[0])
    return found


def _available(spec: str) -> list[str]:
    try:
        from datasets import get_dataset_split_names
        from huggingface_hub import HfApi, constants

        if not constants.HF_HUB_OFFLINE:  # then the cache is enough; else ask once, without half a minute of retries
            HfApi().dataset_info(spec, timeout=5)
        return list(get_dataset_split_names(spec))
    except ImportError as error:
        raise ConfigError(
            f"data sets from the Hub need the `datasets` library: install it by {by_pip('train')}"
        ) from error
    except Exception as error:  # the library raises its own, httpx's and fsspec's errors
        raise ConfigError(f"cannot reach data set '{spec}' on the Hub {refusal(error)}") from error


def _table(spec: str, split: str) -> Table:
    from datasets import Image, load_dataset

    where = f"the {split} split of '{spec}'"
    with reading(where):
        rows = load_dataset(spec, split=split, streaming=True)
        rows = rows if rows.features is not None else rows._resolve_features()
        for name, kind in rows.features.items():
            if isinstance(kind, Image):
                rows = rows.cast_column(name, Image(decode=False))
        schema = rows.features.arrow_schema

    def batches(column: str) -> Iterator[Any]:
        for table in rows.select_columns([column]).with_format("arrow").iter(batch_size=BATCH_ROWS):
            yield table[column].combine_chunks()

    return Table(where, schema, batches)
