"""Images -> what a receiver makes of them over many channels: embeddings, and the bits that could have come with each.

Knows nothing about classes that are enrolled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.images.datasets import load_images
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest
from scrx.heads.space import Floats, bits_of
from training.data.images import tell_notes
from training.lab.evaluation import Lab, Setting

SNRS_DB = (-6.0, -2.0, 2.0, 6.0, 10.0, 20.0)
CHANNELS = ("awgn", "block-rayleigh")


@dataclass(frozen=True, slots=True)
class Heard:
    """Rows of received pictures. embedding: float32 [R, E]; bits: float32 [R]; image, label: int64 [R]."""

    embedding: Floats
    bits: Floats
    image: NDArray[np.int64]
    label: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> "Heard":
        """The rows that are chosen, bool [R]."""
        return Heard(self.embedding[chosen], self.bits[chosen], self.image[chosen], self.label[chosen])


def images_for(manifest: Manifest, dataset: str, split: str, most: int | None = None) -> ImageSet:
    """Images of any classes as the pair's encoder takes them, the first `most` of a fixed shuffle."""
    found = load_images(dataset, split, manifest.preprocess)
    tell_notes(found.notes)
    order = np.argsort(np.random.default_rng(0).random(len(found)), kind="stable")
    return found.take(np.sort(order[:most]))


def setting_for(channel: str, csi: str, snr_db: float, symbols: int, seed: int) -> Setting:
    """A place whose transmitter is told the average SNR."""
    return Setting(channel, csi, snr_db, symbols, 1, seed, 1, 0.0, snr_db)


def heard_at(manifest: Manifest, lab: Lab, images: ImageSet, setting: Setting, stream: int) -> Heard:
    """Each image once at one place."""
    embedding, soft = lab.embed(setting, stream)
    bits = bits_of(soft.gamma, soft.place, manifest.order)
    return Heard(embedding, bits, np.arange(len(images)), images.labels)


def heard_everywhere(manifest: Manifest, images: ImageSet, seed: int, device: str) -> Heard:
    """Each image at every rate over both channels and all of SNRS_DB, the channel estimated as the receiver does."""
    lab = Lab(manifest, images.images, device)
    places = [(channel, snr, n) for channel in CHANNELS for snr in SNRS_DB for n in manifest.layout.rates]
    parts = [
        heard_at(manifest, lab, images, setting_for(channel, "estimated", snr, symbols, seed), stream)
        for stream, (channel, snr, symbols) in enumerate(places)
    ]
    return Heard(*(np.concatenate([getattr(part, name) for part in parts]) for name in Heard.__slots__))
