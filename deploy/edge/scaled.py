"""What a pair loses where a large JPEG is decoded in a part of its size (`common/images/photo.py`), and what it saves.

    python deploy/edge/scaled.py cifar10 --dataset FOLDER                    FOLDER/test/CLASS/*.jpg, large ones
    python deploy/edge/scaled.py cifar10 --dataset cifar10 --enlarge 8       small ones, made large, grainy JPEGs first

Each picture is decoded both ways, fitted and encoded. Needs semlink[edge], and what reads the data set. Knows nothing
about links.
"""

import io
import time
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.images.datasets import open_split
from common.images.photo import decode_image, fit_image
from common.pair.manifest import find_pair
from sctx.pipeline import TransmitChain

GRAIN, QUALITY = 6.0, 85


def enlarged(raw: bytes, times: int, draw: np.random.Generator) -> bytes:
    """A JPEG so many times as wide and as high, with grain (standard deviation, of 255)."""
    small = Image.fromarray(decode_image(raw))
    large = np.asarray(small.resize((times * small.width, times * small.height), Image.Resampling.BICUBIC), np.float32)
    out = io.BytesIO()
    grainy = (large + draw.normal(0, GRAIN, large.shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(grainy).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


@click.command(help=__doc__.splitlines()[0] if __doc__ else "")
@click.argument("model")
@click.option("--dataset", required=True, help="Folder or Hub id.")
@click.option("--enlarge", default=1, show_default=True, help="So many times as wide and as high first.")
@click.option("--count", default=10**9, help="Pictures at most, those of the test split.  [default: all]")
def main(model: str, dataset: str, enlarge: int, count: int) -> None:
    pair, split, draw = find_pair(model), open_split(dataset, "test"), np.random.default_rng(0)
    chain, (places, _) = TransmitChain(pair, "cpu", "onnx"), split.labels_among(pair.labels)
    labels = np.array([-1 if place is None else place for place in places])[:count]
    made: tuple[list[NDArray[np.float32]], ...] = ([], [])
    took, widths = np.zeros((2, len(labels))), []
    for k, (_, (_, picture)) in enumerate(zip(labels, split.pictures(), strict=False)):
        assert not isinstance(picture, np.ndarray), "pictures of a data set that are no files have no part"
        raw = picture.read_bytes() if isinstance(picture, Path) else picture
        raw = enlarged(raw, enlarge, draw) if enlarge > 1 else raw
        for way, fit in enumerate((None, pair.preprocess)):
            began = time.thread_time_ns()
            image = decode_image(raw, fit=fit)
            fitted = fit_image(image, pair.preprocess)
            took[way, k] = (time.thread_time_ns() - began) / 1e3
            made[way].append(chain.encode(fitted[None])[0])
            if not way:
                widths.append(image.shape[1])
    whole, part = map(np.stack, made)
    features = [chain.features(one) for one in (whole, part)]
    missed = ((features[1] - features[0]) ** 2).sum() / ((features[0] - features[0].mean(0)) ** 2).sum()
    print(f"{model}: {len(labels)} pictures, {int(np.median(widths))} pixels wide in the median; decoding and fitting "
          f"{np.median(took[0]):.0f} us whole, {np.median(took[1]):.0f} in part; {(whole[:, 0] != part[:, 0]).sum()} "
          f"decisions differ, features by {100 * missed:.2f} % of their variance")  # fmt: skip
    if (known := labels >= 0).any():
        right = [(one[known, 0] == labels[known]).astype(float) for one in (whole, part)]
        lost = right[0] - right[1]
        print(f"  of {known.sum()} with a label {100 * right[0].mean():.2f} % are right whole, "
              f"{100 * right[1].mean():.2f} in part; lost {100 * lost.mean():.2f} +- "
              f"{196 * lost.std() / np.sqrt(len(lost)):.2f} points")  # fmt: skip


if __name__ == "__main__":
    main()
