"""What a pair's embedding looks like after the channel: statistics by which classes are told apart that nobody trained.

Knows nothing about classes or files of heads. Made by `python -m training.enrolment.whiten`, and kept beside the pair.

    u = (z - m_b) W_b                W_b: whitens what differs within a class, the same in every bin but for its scale
    u | class ~ t(mu, noise_b I)     mu ~ N(0, I): the scale of W_b is that of the classes' means, the same in every bin

(PLDA, Ioffe 2006, with a round prior and heavy tails, Kenny 2010). Examples x_i of a class give its mean with precision
L = 1 + sum 1/noise_i, mu^ = sum x_i/noise_i / L, so that poor ones count less; a further picture of it has
u ~ t(mu^, (noise_b + 1/L) I), and one of a class that nobody has enrolled u ~ t(0, (noise_b + 1) I). The bin b is that
of the bits that the received symbols can carry at most of the features, sum log2(1 + gamma) over those that are not the
word's, each no more than log2 M: rate, share and SNR in one number.
"""

import hashlib
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.pair.agreement import Agreement
from common.pair.manifest import Manifest
from common.text import safe
from common.typed import decode
from scrx.heads.packed import expect, pack, read_file, unpack

FILE = "space.safetensors"
FORMAT = "semlink space 1"
MOST_BINS = 64
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class About:
    """Of a space. model: the pair's id; edges: bits between bins, ascending; counts: examples; rates: false alarms."""

    format: str
    model: str
    pair: str
    made_of: str
    edges: tuple[float, ...]
    counts: tuple[float, ...]
    rates: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Space:
    """K bins of an embedding of E numbers.

    mean: float32 [K, E]; white: float32 [K, E, E], u = (z - mean) @ white; noise: variance within a class, where that
    of the classes' means is 1, tail: degrees of freedom, temperature: float32 [K] each; limits: float32 [K, counts,
    rates]: a share `rate` of the pictures of enrolled classes has a smaller log-likelihood ratio to a class that nobody
    enrolled.
    """

    about: About
    mean: Floats
    white: Floats
    noise: Floats
    tail: Floats
    temperature: Floats
    limits: Floats
    sha256: str = ""

    @property
    def wide(self) -> int:
        """Numbers of an embedding."""
        return len(self.mean[0])

    def bins(self, bits: Floats) -> NDArray[np.int64]:
        """bits: as of `bits_of`, float32 [B] -> int64 [B]."""
        found: NDArray[np.int64] = np.searchsorted(np.array(self.about.edges, np.float32), bits, side="right")
        return found

    def whiten(self, embedding: Floats, bins: NDArray[np.int64]) -> Floats:
        """embedding: float32 [B, E]; bins: int64 [B] -> u, float32 [B, E]."""
        u = np.empty(embedding.shape, np.float32)
        for one in np.unique(bins):
            rows = bins == one
            u[rows] = (embedding[rows] - self.mean[one]) @ self.white[one]
        return u

    def limit(self, bins: NDArray[np.int64], counts: NDArray[np.int64], rate: float) -> Floats:
        """Of pictures of a bin, judged by a class of so many examples, int64 [B] each -> float32 [B].

        Between the numbers of examples, and the rates, that were measured the nearest below holds.
        """
        of_count = np.clip(np.searchsorted(self.about.counts, counts, side="right") - 1, 0, None)
        of_rate = max(int(np.searchsorted(self.about.rates, rate, side="right")) - 1, 0)
        found: Floats = self.limits[bins, of_count, of_rate]
        return found

    def packed(self) -> bytes:
        """As a file."""
        document = {one.name: getattr(self.about, one.name) for one in fields(About)}
        return pack(document, {name: getattr(self, name) for name in TENSORS})


TENSORS = ("mean", "white", "noise", "tail", "temperature", "limits")


def bits_of(gamma: Floats, place: NDArray[np.int16], order: int) -> Floats:
    """gamma: float32 [B, S], linear, 0 where nothing was received; place: int16 [B, S], what each symbol is, negative
    where no feature's; order: points of the QAM -> float32 [B]."""
    carried = np.where(place >= 0, np.minimum(np.log2(1.0 + gamma), np.log2(order)), 0.0)
    bits: Floats = carried.sum(1, dtype=np.float32)
    return bits


def parse_space(raw: bytes) -> Space:
    """A space, whoever wrote it. ModelError says what is wrong with it."""
    document, tensors = unpack(raw)
    try:
        about = decode(About, document)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if about.format != FORMAT:
        raise ModelError(f"its format is '{safe(about.format, 40)}', and this version of semlink reads '{FORMAT}'")
    sizes = len(about.edges) + 1, len(about.counts), len(about.rates)
    if any(list(one) != sorted(set(one)) for one in (about.edges, about.counts, about.rates)):
        raise ModelError("its edges, counts and rates must ascend")
    if not all(1 <= size <= MOST_BINS for size in sizes):
        raise ModelError(f"its {sizes} bins, counts and rates are not 1 to {MOST_BINS} each")
    wide = tensors["mean"].shape[-1] if "mean" in tensors and tensors["mean"].ndim == 2 else 0
    bins = sizes[0]
    expect(tensors, {"mean": (bins, wide), "white": (bins, wide, wide), "noise": (bins,), "tail": (bins,),
                     "temperature": (bins,), "limits": sizes})  # fmt: skip
    if odd := [name for name in ("noise", "tail", "temperature") if (tensors[name] <= 0).any()]:
        raise ModelError(f"its {odd[0]} must be above 0")
    return Space(about, **tensors, sha256=hashlib.sha256(raw).hexdigest())


def find_space(manifest: Agreement) -> Space:
    """The space beside a pair. ConfigError where there is none, ModelError where it is damaged or another pair's."""
    if not isinstance(manifest, Manifest) or not (manifest.path / FILE).is_file():
        made = manifest.path if isinstance(manifest, Manifest) else "PAIR"
        raise ConfigError(
            f"pair {safe(manifest.name, 60)} has no {FILE}, by which new classes are told apart; make it: "
            f"`python -m training.enrolment.whiten --pair {made}`"
        )
    path = manifest.path / FILE
    try:
        space = parse_space(read_file(path))
    except ModelError as error:
        raise ModelError(
            f"{path}: {error}; make it again: `python -m training.enrolment.whiten --pair {manifest.path}`"
        ) from None
    if (space.about.model, space.wide) != (manifest.id, manifest.features):
        raise ModelError(
            f"{path} was made for another pair ({safe(space.about.pair, 60)}, {safe(space.about.model, 12)}): "
            f"`python -m training.enrolment.whiten --pair {manifest.path}`"
        )
    return space
