"""What else could be sent of the same picture: features as bits in a short code, whoever's, or the pair's answer.

Knows nothing about classes that are enrolled.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from common.images.imageset import ImageSet
from common.pair.manifest import Manifest
from common.phy.decibel import from_db
from scrx.heads.space import Floats
from sctx.encoder import load_encoder, normalise
from training.baselines.short_codes import ShortCode
from training.teachers.find import load_oracle
from training.teachers.folder import read_folder
from training.teachers.oracles import ask_both
from training.trained.quantised import ALL_BITS, BITS, bits_of, letters_of, product_quantiser

ROWS = 256


@torch.no_grad()
def own_features(manifest: Manifest, images: ImageSet) -> Floats:
    """What the last layer of the pair's encoder is given of each image, float32 [N, D]."""
    encoder = load_encoder(manifest)
    image = manifest.preprocess
    parts = np.array_split(images.images, max(-(-len(images) // ROWS), 1))
    pooled = [encoder.pooled(normalise(torch.from_numpy(part), image.mean, image.std)) for part in parts]
    return torch.cat(pooled).numpy()


def teachers_embedding(spec: str, images: ImageSet) -> Floats:
    """What a teacher's last layer is given of each image, as a store keeps it, float32 [N, D]; whatever its classes.

    spec: one folder or Hub id. ConfigError or ModelError, in one line, where it gives none.
    """
    columns = read_folder(spec).config.num_labels
    oracle = load_oracle(spec, [str(one) for one in range(columns)], torch.device("cpu"), by_position=True)
    rows = np.array_split(np.arange(len(images)), max(-(-len(images) // ROWS), 1))
    return torch.cat([ask_both(oracle, images.images[part], part)[1] for part in rows]).numpy()


class QuantisedFeatures:
    """Features by product quantisation (Jegou et al. 2011), rotated (Ge et al. 2013), in the best code known here.

    seen: features to make the books of, float32 [N, D].
    """

    def __init__(self, seen: Floats, bits: int, uses: int) -> None:
        """ValueError where so many bits do not fit."""
        self._code = ShortCode(bits, uses)
        self._turn, self._books = product_quantiser(seen.astype(np.float64), bits // BITS, True, 0)

    def sent(self, features: Floats, snr_db: float, random: np.random.Generator) -> Floats:
        """features: float32 [N, D] -> what the receiver makes of them over AWGN whose N0 it knows, float32 [N, D']."""
        moved = (features @ self._turn.T).reshape(len(features), len(self._books), -1)
        apart = (self._books**2).sum(-1) - 2 * np.einsum("bmd,mkd->bmk", moved, self._books)
        symbols = self._code.encode(bits_of(apart.argmin(-1)))
        snr = from_db(snr_db)
        parts = random.normal(size=(2, *symbols.shape)) * math.sqrt(0.5 / snr)
        heard = (symbols + parts[0] + 1j * parts[1]) * (snr / (1.0 + snr))  # equalised, as `Codec.decode` has it
        letters = letters_of(self._code.decode(heard.astype(np.complex64), np.full(symbols.shape, snr, np.float32)))
        chosen: Floats = self._books[np.arange(len(self._books)), letters].reshape(len(features), -1)
        return chosen


def bits_for(uses: int, snr_db: float) -> list[int]:
    """Numbers of bits that are worth trying: what the code takes and the channel could carry."""
    return [bits for bits in ALL_BITS if bits <= min(2 * uses, max(BITS, uses * math.log2(1 + from_db(snr_db))))]


def answers_of(scores: NDArray[np.float32]) -> Floats:
    """scores of the pair's own classes, float32 [N, C] -> its answer alone, one number of C is 1."""
    alone: Floats = np.eye(scores.shape[1], dtype=np.float32)[scores.argmax(1)]
    return alone
