"""What each shipped pair sends and answers by ONNX Runtime on this processor; beside another processor's, what differs.

    python deploy/edge/frames.py OUT.npz                 computes: pictures -> frames -> soft symbols -> answers
    python deploy/edge/frames.py OUT.npz OTHER.npz       the same, and compares with what the other one wrote

Needs no torch. Knows nothing about links: the noise between the two is the same on every processor.
"""

import platform
import sys

import numpy as np
from numpy.typing import NDArray

from common.images.datasets import load_images
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from scrx.decoding.answerer import Answerer
from sctx.modulate import bounds
from sctx.pipeline import TransmitChain

DIGITS, PHOTOGRAPHS = 360, 40
SNRS_DB = (0.0, 10.0, float("nan"))
"""What the transmitter is told; NaN: nothing."""


def pictures(pair: Manifest) -> NDArray[np.uint8]:
    """uint8 [N, H, W, C]: the test digits where they fit, else stripes with grain; whole numbers all the way."""
    image = pair.preprocess
    if (image.height, image.width, image.channels) == (8, 8, 1):
        return load_images("digits", "test").images[:DIGITS]
    draw = np.random.Generator(np.random.Philox(key=1))
    shape, each = (PHOTOGRAPHS, image.height, image.width, image.channels), (PHOTOGRAPHS, 1, 1, 1)
    period, strength = draw.integers(2, 32, each), draw.integers(1, 64, each)
    stripes = 96 * ((np.arange(image.width)[None, None, :, None] // period) % 2)
    return (64 + stripes + draw.integers(0, 64, shape) * strength // 64).astype(np.uint8)


def computed(pair: Manifest) -> dict[str, NDArray[np.generic]]:
    """Features, symbols and scores of each picture, by the SNR that was told."""
    chain, answerer = TransmitChain(pair, "cpu", "onnx"), Answerer(pair, "cpu", "onnx")
    images, draw = pictures(pair), np.random.Generator(np.random.Philox(key=2))
    features = np.concatenate([chain.encode(image[None]) for image in images])
    found: dict[str, NDArray[np.generic]] = {f"{pair.name}/features": features}
    for snr_db in SNRS_DB:
        adapted = np.concatenate([chain.adapt(row[None], snr_db) for row in features])
        symbols = np.concatenate([chain.modulate(row[None], snr_db) for row in features])
        n0 = 0.1
        noise = draw.integers(-1000, 1001, (*symbols.shape, 2)) * (np.sqrt(1.5 * n0) / 1000)
        heard = (symbols + (noise @ (1, 1j))).astype(np.complex64)
        gamma = np.full(heard.shape, 1 / n0, np.float32)
        scores = np.concatenate([answerer.logits(one[None], two[None]) for one, two in zip(heard, gamma, strict=True)])
        for name, values in (("adapted", adapted), ("symbols", symbols), ("scores", scores)):
            found[f"{pair.name}/{name}/{snr_db}"] = values
    return found


def compare(pair: Manifest, ours: dict[str, NDArray[np.generic]], theirs: "np.lib.npyio.NpzFile") -> None:
    """A line for each SNR that was told."""
    far = np.abs(ours[f"{pair.name}/features"] - theirs[f"{pair.name}/features"]).max()
    count = len(ours[f"{pair.name}/features"])
    print(f"{pair.name}: {count} pictures, features at most {far:.1e} apart")
    for snr_db in SNRS_DB:
        mine, other = ({name: where[f"{pair.name}/{name}/{snr_db}"] for name in ("adapted", "symbols", "scores")}
                       for where in (ours, theirs))  # fmt: skip
        frames = int((mine["symbols"] == other["symbols"]).all(1).sum())
        grid = bounds(pair.order)
        levels = [np.searchsorted(grid, one["adapted"], side="right") for one in (mine, other)]
        moved = levels[0] != levels[1]
        edge = np.abs(mine["adapted"][..., None] - grid).min(-1)[moved].max(initial=0)
        answers = int((mine["scores"].argmax(1) != other["scores"].argmax(1)).sum())
        print(f"  told {snr_db:>4} dB: {frames} of {count} frames equal in every bit, {moved.sum()} of {moved.size} "
              f"levels moved (at most {edge:.1e} from a boundary), {answers} answers differ")  # fmt: skip


def main() -> None:
    """Compute, keep, compare."""
    out, *others = sys.argv[1:]
    pairs = [find_pair(name) for name in shipped_pairs()]
    found = {key: value for pair in pairs for key, value in computed(pair).items()}
    np.savez_compressed(out, **found)  # type: ignore[arg-type]
    print(f"{platform.machine()}: {out} written")
    for other in others:
        with np.load(other) as theirs:
            for pair in pairs:
                compare(pair, found, theirs)


if __name__ == "__main__":
    main()
