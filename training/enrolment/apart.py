"""Keep classes out of a data set: `python -m training.enrolment.apart`; two data sets, one of them to be enrolled.

Knows nothing about pairs. OUT/known holds every picture of the other classes, OUT/new those that are kept apart, each
with the splits of the data set as Parquet. A teacher, a store, a pair and its space that are all made of OUT/known have
then not met the classes of OUT/new in any step, whatever the data set's own classes were.
"""

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from common.cli import begin, invoke, shared_options
from common.console import say
from common.errors import ConfigError, DataError
from common.files import OutFolder, write_json
from common.images.datasets import open_split
from common.images.split import Picture, Split
from common.images.tables import LABEL
from common.images.wordnet import FILE

KNOWN, NEW = "known", "new"
ROWS = 1000
"""Pictures that are written at once."""


@click.command(help=__doc__.splitlines()[0])
@click.option("--dataset", required=True, help="digits, a folder or a Hub id.")
@click.option("--classes", required=True, help="Names of those to keep apart, with commas.")
@click.option("--out", required=True, type=OutFolder(), help="Folder for both data sets, known and new.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    for line in kept_apart(options["dataset"], [one.strip() for one in options["classes"].split(",")], options["out"]):
        say(line)


def kept_apart(dataset: str, classes: Sequence[str], out: Path) -> list[str]:
    """Write both data sets; a line about each. ConfigError: a class that there is not, none left, a folder in use."""
    splits = {name: split for name in ("train", "validation", "test") if (split := _split(dataset, name)) is not None}
    names = splits["train"].classes
    if strange := [one for one in classes if one not in names]:
        raise ConfigError(f"--classes '{strange[0]}': '{dataset}' has {', '.join(names[:20])}")
    kept = {KNOWN: [one for one in names if one not in classes], NEW: [one for one in names if one in classes]}
    if len(kept[KNOWN]) < 2:
        raise ConfigError(
            f"--classes: {len(kept[KNOWN])} of the {len(names)} classes would be left; leave two at least"
        )
    if taken := [part for part in kept if (out / part).exists()]:
        raise ConfigError(f"--out {out}: there is a {taken[0]} in it; give another folder, or remove that one")
    told = []
    for part, some in kept.items():
        counts = [f"{_write(split, some, out / part, name)} of {name}" for name, split in splits.items()]
        told.append(f"{out / part}: {', '.join(some)}; {', '.join(counts)}")
    return told


def _split(dataset: str, name: str) -> Split | None:
    """None where the data set has no such split."""
    try:
        return open_split(dataset, name)
    except DataError:
        if name == "test":
            return None
        raise


def _write(split: Split, classes: Sequence[str], folder: Path, name: str) -> int:
    """The pictures of these classes, in the order of the split, as they were encoded; how many."""
    import pyarrow
    from pyarrow import parquet

    places = [classes.index(one) if one in classes else -1 for one in split.classes]
    labels = np.array([*places, -1])[split.labels]
    part, labels = split.take(np.flatnonzero(labels >= 0)), labels[labels >= 0]
    folder.mkdir(parents=True, exist_ok=True)
    features = {"image": {"_type": "Image"}, LABEL: {"names": list(classes), "_type": "ClassLabel"}}
    schema = pyarrow.schema(
        [
            ("image", pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])),
            (LABEL, pyarrow.int64()),
        ],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    with parquet.ParquetWriter(folder / f"{name}.parquet", schema) as writer:
        batch: list[dict[str, Any]] = []
        for label, (_, picture) in zip(labels.tolist(), part.pictures(), strict=True):
            batch.append({"image": {"bytes": encoded(picture), "path": None}, LABEL: label})
            if len(batch) == ROWS:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pyarrow.Table.from_pylist(batch, schema))
    if split.ids:
        ids = dict(zip(split.classes, split.ids, strict=True))
        write_json(folder / FILE, [{"wnid": ids[one], "name": one} for one in classes])
    return len(part)


def encoded(picture: Picture) -> bytes:
    """As it was encoded; pixels that never were, uint8 [H, W, C], as PNG."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Path):
        return picture.read_bytes()
    return _png(picture)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    invoke(main, "TRAINING_ENROLMENT_APART")
