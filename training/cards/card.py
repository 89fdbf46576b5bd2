"""A result card: one number, what it was measured of, where, by what, and the decision about every image. Sealed.

Knows nothing about how systems decide. The seal names what was altered: it holds a hash of each field, and one of
those. Whoever seals an altered card anew has still to make accuracy, interval and decisions agree, and then to be
right: `verifying.py` computes them again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, SemlinkError
from common.files import write_json
from common.text import safe
from common.typed import decode, parse
from training.cards.packing import Packed, unpack
from training.report.stats import bootstrap

SCHEMA = 1
LARGEST = 64 << 20
"""Bytes of a card that are read at all."""
SNR = (
    "average Es/N0 per complex symbol: unit mean power of each image's symbols, noise CN(0, N0) with N0 = 1/SNR; "
    "fading has E|h|^2 = 1, one h for each image, never renormalised"
)
USES = "complex channel uses per image, pilots counted"
CLOSE = 1e-9
"""Numbers that differ by less were written from the same."""


@dataclass(frozen=True, slots=True)
class Data:
    """The images: name of the data set, split, SHA-256 of pixels, labels and class names, and how many."""

    name: str
    split: str
    fingerprint: str
    images: int


@dataclass(frozen=True, slots=True)
class Card:
    """One number. What `training.evaluate --suite` says of a point, and all that it takes to compute it again.

    weights: file -> SHA-256 of what else than the pair was loaded. streams: of the channel that `seed` makes, K of
    them. decisions: classes [K, N], None where a system only knows probabilities; right: [K, N], 0 or 1, or those.
    retrain, hours: the command that makes the weights, and what it takes; machine: on which the decisions were made.
    """

    schema: int
    suite: str
    system: str
    channel: str
    csi: str
    n: int
    snr_db: float
    accuracy: float
    ci95: tuple[float, ...]
    seeds: int
    mean_uses: float
    tx_accuracy: float | None
    pair: str
    pair_id: str
    weights: Mapping[str, str]
    data: Data
    seed: int
    streams: tuple[int, ...]
    snr: str
    uses: str
    command: str
    commit: str
    machine: Mapping[str, str]
    kind: str
    hours: float | None
    retrain: str | None
    against_label_code: tuple[float, ...] | None
    decisions: Packed | None
    right: Packed
    seal: Mapping[str, str]

    @property
    def name(self) -> str:
        """What its file is called. Pairs that do not ship are called after their recipe, so their id is in it."""
        pair = self.pair if self.retrain is None else f"{self.pair}-{self.pair_id[:8]}"
        place = f"{self.channel}-{self.csi}-n{self.n}-{self.snr_db:g}dB"
        drawn = f"-channel{self.seed}" if self.seed else ""
        return f"{self.suite}-{pair}-{self.system}-{place}{drawn}.json".replace("/", "_")


def sealed(card: Card) -> Card:
    """The card with the seal that it should have."""
    return replace(card, seal=_seal(card))


def write(card: Card, folder: Path) -> Path:
    """The card, sealed, as a file of `folder`; returns its path."""
    path = folder / card.name
    write_json(path, asdict(sealed(card)))
    return path


def read(path: Path) -> Card:
    """The card of a file, as it lies there. ConfigError where there is no file, SemlinkError where it is no card."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path}: no such card")
        if path.stat().st_size > LARGEST:
            raise ValueError(f"a card has at most {LARGEST >> 20} MiB")
        document = parse(path.read_bytes())
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise ValueError(f"a card of this version of semlink says schema {SCHEMA}")
        return decode(Card, document)
    except (ValueError, OverflowError) as error:
        raise SemlinkError(f"{path} is no card, or a damaged one: {safe(error, 200)}") from None


def altered(card: Card) -> list[str]:
    """What does not belong together in a card, a line each: broken seals, and numbers that its decisions do not give.

    Whoever altered one number or decision and nothing else is told here which; nothing is computed but means.
    """
    expected = _seal(card)
    names = sorted(set(expected) | set(card.seal))
    found = [f"{one} is not what was sealed" for one in names if card.seal.get(one) != expected.get(one)]
    found = [one for one in found if not one.startswith("all ")] or found
    try:
        right = unpack(card.right).astype(np.float64)
        decided = None if card.decisions is None else unpack(card.decisions)
    except ValueError as error:
        return [*found, str(error)]
    return found + [one for one in _contradictions(card, right, decided) if one]


def _contradictions(card: Card, right: NDArray[np.float64], decided: NDArray[Any] | None) -> list[str]:
    shape = len(card.streams), card.data.images
    if right.shape != shape or (decided is not None and decided.shape != shape) or card.seeds != shape[0]:
        return [f"decisions of {right.shape} are not those of {shape[0]} streams and {shape[1]} images"]
    accuracy, low, high = summary(right)
    found = []
    if not abs(accuracy - card.accuracy) <= CLOSE:
        found.append(f"accuracy says {card.accuracy:.6f}, and its decisions give {accuracy:.6f}")
    if len(card.ci95) != 2 or not np.allclose(card.ci95, (low, high), rtol=0, atol=CLOSE):
        found.append(f"ci95 says {list(card.ci95)}, and its decisions give [{low:.6f}, {high:.6f}]")
    if (card.kind, card.retrain is None) not in (("replay", True), ("retrain", False)):
        found.append(f"kind {safe(card.kind, 20)!r} does not go with the command to train again")
    return found


def summary(right: NDArray[np.float64]) -> tuple[float, float, float]:
    """Accuracy and the ends of its interval, by bootstrap over images. right: float64 [K, N]."""
    _, low, high = bootstrap(right.mean(0))
    return float(right.mean()), low, high


def _seal(card: Card) -> dict[str, str]:
    """Field -> the first 64 bits of its SHA-256; "all" -> the SHA-256 of those and of every field."""
    document = asdict(card)
    del document["seal"]
    whole = json.dumps(document, sort_keys=True).encode()
    parts = {name: _hash(json.dumps(value, sort_keys=True).encode())[:16] for name, value in document.items()}
    return {**parts, "all": _hash(whole)}


def _hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
