"""A data set of one's own: written once as Parquet, and every command reads it by the name of its folder.

    python tests/examples/dataset.py stripes
    python -m training.distill --dataset stripes --epochs 20
    sctx --peer 127.0.0.1:5556 --source dataset:stripes:test --model build/pairs/stripes

Here: stripes in three directions under noise. Pictures that lie in files need no program at all: a folder
SPLIT/CLASS/*.jpg is a data set already. What is in neither form is turned into one of them, as below, and no code of
the project has to know of it.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import parquet

CLASSES = {"flat": 0.0, "steep": 90.0, "slanted": 45.0}
"""Direction of the stripes in degrees."""
SPLITS = {"train": 200, "test": 60}
"""Pictures of each; a validation split may be given too, and is a tenth of train where it is not."""
SIDE = 16


def pictures(count: int, random: np.random.Generator) -> Iterator[tuple[bytes, str]]:
    """Encoded picture and name of its class: this is what to replace by a reader of one's own."""
    down, across = np.mgrid[:SIDE, :SIDE]
    for name in random.choice(list(CLASSES), count):
        angle, phase = np.deg2rad(CLASSES[name]), random.uniform(0, 2 * np.pi)
        wave = np.sin(across * np.sin(angle) + down * np.cos(angle) + phase)
        pixels = np.clip(128 + 60 * wave + random.normal(0, 40, wave.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        yield file.getvalue(), str(name)


def main(folder: str, seed: int = 0) -> None:
    """Write FOLDER/train.parquet and FOLDER/test.parquet: column `image`, encoded; column `label`, names."""
    random = np.random.default_rng(seed)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for split, count in SPLITS.items():
        images, labels = zip(*pictures(count, random), strict=True)
        table = pyarrow.table({"image": pyarrow.array(images, pyarrow.binary()), "label": list(labels)})
        parquet.write_table(table, Path(folder) / f"{split}.parquet")


if __name__ == "__main__":
    main(*sys.argv[1:])
