"""What each shipped pair sends and answers by ONNX Runtime on this processor; beside another processor's, what differs.

    python deploy/edge/frames.py OUT.npz                 computes: pictures -> frames -> soft symbols -> answers
    python deploy/edge/frames.py OUT.npz OTHER.npz       the same of the same pictures, and compares with the other one

The pictures are the first of the test set that has the pair's name (a folder here, or the digits), else made. Needs no
torch. Knows nothing about links: the noise between the two is the same on every processor.
"""

import platform
import sys
from contextlib import nullcontext

import numpy as np
from numpy.typing import NDArray

from common.errors import SemlinkError
from common.images.datasets import load_for
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from common.phy.words import places
from scrx.decoding.answerer import Answerer
from scrx.demodulation.demodulate import SoftBatch
from sctx.pipeline import TransmitChain

PICTURES, MADE = 360, 40
SHARES = (0.0, 0.5, 1.0)
"""Of the symbols that say the decision, one symbol at least; the others say features."""
SAME = 1e-3
"""Symbols that are nearer than this are the same level or corner."""


def pictures(pair: Manifest) -> NDArray[np.uint8]:
    """uint8 [N, H, W, C]: of the test set, else stripes with grain; whole numbers all the way."""
    try:
        return load_for(pair, pair.name, "test").images[:PICTURES]
    except (SemlinkError, ImportError) as error:
        print(f"{pair.name}: made pictures, for there are no others: {error}")
    draw, image = np.random.Generator(np.random.Philox(key=1)), pair.preprocess
    shape, each = (MADE, image.height, image.width, image.channels), (MADE, 1, 1, 1)
    period, strength = draw.integers(2, 32, each), draw.integers(1, 64, each)
    stripes = 96 * ((np.arange(image.width)[None, None, :, None] // period) % 2)
    return (64 + stripes + draw.integers(0, 64, shape) * strength // 64).astype(np.uint8)


def computed(pair: Manifest, images: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    """Of each picture what is encoded, its decision first; by the symbols that the word has, symbols and answers."""
    chain, answerer = TransmitChain(pair, "cpu", "onnx"), Answerer(pair)
    draw = np.random.Generator(np.random.Philox(key=2))
    encoded = np.concatenate([chain.encode(image[None]) for image in images])
    found: dict[str, NDArray[np.generic]] = {f"{pair.name}/encoded": encoded, _key(pair): images}
    for share in SHARES:
        words = _words(pair, share)
        symbols = np.concatenate([chain.modulate(row[None], words=words) for row in encoded])
        n0 = 0.1
        noise = draw.integers(-1000, 1001, (*symbols.shape, 2)) * (np.sqrt(1.5 * n0) / 1000)
        heard = (symbols + (noise @ (1, 1j))).astype(np.complex64)
        gamma, place = np.full(heard.shape, 1 / n0, np.float32), places(pair.layout.max_symbols, words)
        soft = [SoftBatch(one[None], two[None], place[None], ()) for one, two in zip(heard, gamma, strict=True)]
        classes, features = map(np.concatenate, zip(*map(answerer.hear, soft), strict=True))
        for name, values in (("symbols", symbols), ("classes", classes), ("features", features)):
            found[f"{pair.name}/{name}/{share}"] = values
    return found


def _key(pair: Manifest) -> str:
    return f"{pair.name}/pictures"


def _words(pair: Manifest, share: float) -> int:
    return max(1, round(share * pair.layout.max_symbols))


def compare(pair: Manifest, ours: dict[str, NDArray[np.generic]], theirs: "np.lib.npyio.NpzFile") -> None:
    """A line for each share of the word."""
    one, two = (where[f"{pair.name}/encoded"] for where in (ours, theirs))
    decided, far = int((one[:, 0] != two[:, 0]).sum()), np.abs(one[:, 1:] - two[:, 1:]).max()
    print(f"{pair.name}: {len(one)} pictures, {decided} decisions differ, coordinates at most {far:.1e} apart")
    for share in SHARES:
        mine, other = ({name: where[f"{pair.name}/{name}/{share}"] for name in ("symbols", "classes", "features")}
                       for where in (ours, theirs))  # fmt: skip
        frames = int((mine["symbols"] == other["symbols"]).all(1).sum())
        moved = np.abs(mine["symbols"] - other["symbols"]) > SAME
        answers = int((mine["classes"].argmax(1) != other["classes"].argmax(1)).sum())
        apart = np.abs(mine["features"] - other["features"]).max()
        print(f"  word in {_words(pair, share)} of {moved.shape[1]} symbols: {frames} of {len(one)} frames equal in "
              f"every bit, {moved.sum()} of {moved.size} symbols moved, {answers} answers differ, features at most "
              f"{apart:.1e} apart")  # fmt: skip


def main() -> None:
    """Compute, keep, compare."""
    out, *other = sys.argv[1:]
    pairs = [find_pair(name) for name in shipped_pairs()]
    with np.load(other[0]) if other else nullcontext() as theirs:
        found = {
            key: value
            for pair in pairs
            for key, value in computed(pair, pictures(pair) if theirs is None else theirs[_key(pair)]).items()
        }
        np.savez_compressed(out, **found)  # type: ignore[arg-type]
        print(f"{platform.machine()}: {out} written")
        if theirs is not None:
            for pair in pairs:
                compare(pair, found, theirs)


if __name__ == "__main__":
    main()
