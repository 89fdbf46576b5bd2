"""Baselines with fitted weights as systems: weights and a JSON beside them, read and checked; a codec for each place.

Knows nothing about how they were fitted (`tuning.py`) or what they are (their families).

    NAME.safetensors   MEMBER/TENSOR, half precision
    NAME.json          what was tried and chosen, what it took, which member is sent at which place
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load, save
from torch import Tensor

from common.files import write_atomic, write_json
from common.images.imageset import ImageSet
from training.systems.bench import SHIPPED, Bench
from training.systems.carried import Carried
from training.systems.carry import Way, carry
from training.systems.codec import Codec
from training.systems.readback import read_document, reading
from training.systems.system import NotThere, Place
from training.trained.dt_jscc import DtJscc, DtJsccOurs
from training.trained.family import Family, Weights
from training.trained.fronts import Front
from training.trained.quantised import PqCode, Separate
from training.trained.vfe import Vfe

FAMILIES: dict[str, Family] = {one.name: one for one in (DtJscc(), DtJsccOurs(), Vfe(), Separate(), PqCode())}
NAMES = tuple(FAMILIES)
SHARES = (8, 4)
"""Where the channel is estimated, one use of so many is a pilot, but two uses at least: one of both is chosen."""
FORMAT = 1
HOME = Place("awgn", "perfect", 16, 10.0)
"""Where its multiply-accumulates are counted."""


@dataclass(frozen=True, slots=True)
class Option:
    """What may be sent at a place."""

    member: str
    pilots: int


@dataclass(frozen=True, slots=True)
class Record:
    """What lies in both files: the JSON, and the weights by member."""

    document: Mapping[str, Any]
    weights: Mapping[str, Weights]


class Kit:
    """A family with its weights on a bench: codecs by option, each made once."""

    def __init__(
        self, family: Family, bench: Bench, settings: Mapping[str, Any], weights: Mapping[str, Weights]
    ) -> None:
        self.family, self.bench, self.settings, self.weights = family, bench, dict(settings), weights
        self._codecs: dict[tuple[str, int, float], Codec | None] = {}

    @cached_property
    def front(self) -> Front:
        return Front(self.bench, self.family.front)

    def codec(self, member: str, uses: int, told_db: float) -> Codec | None:
        """None: it does not fit into so many uses."""
        key = member, uses, told_db
        if key not in self._codecs:
            self._codecs[key] = self.family.codec(
                member, self.weights[member], self.settings, self.front, len(self.bench.classes), uses, told_db
            )
        return self._codecs[key]

    def way(self, option: Option, place: Place) -> Way | None:
        """None where the option does not fit into the place."""
        codec = self.codec(option.member, place.n - option.pilots, place.snr_db) if place.n > option.pilots else None
        return None if codec is None else Way(codec, option.pilots)

    def options(self, place: Place) -> list[Option]:
        """All that fit into a place and are worth trying there."""
        pilots = {max(place.n // share, 2) for share in SHARES} if place.csi == "estimated" else {0}
        every = [Option(member, count) for member in self.weights for count in sorted(pilots)]
        worth = [one for one in every if self.family.worth_trying(one.member, place.n - one.pilots, place.snr_db)]
        return [one for one in worth if self.way(one, place) is not None]


class Learned(Carried):
    """A fitted family: at each place, whichever of its members did best there on held-out images."""

    def __init__(self, bench: Bench, family: Family) -> None:
        super().__init__(bench)
        self.family = family
        self.name = family.name
        self._record: Record | None = None

    @property
    def record(self) -> Record:
        """NotThere where nothing was fitted; ModelError where the files are damaged or of another pair."""
        if self._record is None:
            where = self.bench.weights(self.name)
            if not where.with_suffix(".json").is_file():
                raise NotThere(f"not fitted: {self.bench.command(self.name)}")
            found = read_record(where)
            if found.document["pair"] != self.bench.manifest.id:
                raise NotThere(f"fitted for another pair: {self.bench.command(self.name)}")
            self.bench.require_seen(self.name, found.document.get("data"))
            self._record = found
        return self._record

    @cached_property
    def kit(self) -> Kit:
        """Its weights, ready to make codecs."""
        return Kit(self.family, self.bench, self.record.document["chosen"], self.record.weights)

    def way(self, place: Place) -> Way:
        """See `Carried`: of the SNRs at which something was chosen, the nearest to the place's."""
        key = [place.channel, place.csi, place.n]
        fits = [one for one in self.record.document["choices"] if [one["channel"], one["csi"], one["n"]] == key]
        if not fits:
            raise NotThere(f"no member was fitted that sends {place.n} uses over {place.channel}, {place.csi} CSI")
        best = min(fits, key=lambda one: abs(one["snr_db"] - place.snr_db))
        found = self.kit.way(Option(best["member"], best["pilots"]), place)
        if found is None:
            raise NotThere(f"what was chosen for n = {place.n} does not fit there: {self.bench.command(self.name)}")
        return found

    @property
    def macs(self) -> float | None:
        """Of what it sends at home."""
        try:
            return self.way(HOME).codec.macs
        except NotThere:
            return None

    @property
    def about(self) -> dict[str, Any]:
        """What its training took and what it was held to."""
        try:
            document = self.record.document
        except NotThere:
            return {"source": self.family.source}
        told = {key: document[key] for key in ("source", "spent", "chosen", "validation", "held_to", "command")}
        told["ours"] = spent_on_ours(self.bench)
        published = SHIPPED / "published" / f"{self.name}.json"
        return told | ({"published": json.loads(published.read_bytes())} if published.is_file() else {})


def spent_on_ours(bench: Bench) -> dict[str, Any] | None:
    """What trials of the pair itself took, to compare with; None where `--system ours` was never run."""
    path = bench.weights("ours").with_suffix(".json")
    if not path.is_file():
        return None
    with reading(path, bench.command("ours")):
        spent: dict[str, Any] = read_document(path)["spent"]
    return spent


def systems(bench: Bench) -> list[Learned]:
    """All of them, fitted or not."""
    return [Learned(bench, family) for family in FAMILIES.values()]


def write_record(path: Path, document: Mapping[str, Any], weights: Mapping[str, Weights]) -> None:
    """path: NAME.safetensors; the JSON comes last, so that a crash leaves the old pair of files or none."""
    flat = {f"{member}/{name}": _stored(one) for member, some in weights.items() for name, one in some.items()}
    raw = save(flat)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    write_atomic(path, raw)
    write_json(path.with_suffix(".json"), {"format": FORMAT, **document, "sha256": hashlib.sha256(raw).hexdigest()})


def read_record(path: Path) -> Record:
    """Both files; ModelError says what is wrong with them, and which command makes them again."""
    again = f"restore both files or run {path.stem} through python -m training.baseline again"
    with reading(path.with_suffix(".json"), again):
        document = read_document(path.with_suffix(".json"))
        raw = path.read_bytes()
        if document["format"] != FORMAT or document["sha256"] != hashlib.sha256(raw).hexdigest():
            raise ValueError("the weights are not those that the JSON names")
        weights: dict[str, Weights] = {}
        for key, tensor in load(raw).items():
            member, _, name = key.partition("/")
            weights.setdefault(member, {})[name] = tensor.float()
        chosen = {one["member"] for one in document["choices"]} if "choices" in document else set()
        if unknown := sorted(chosen - set(weights)):
            raise ValueError(f"there are no weights of {', '.join(unknown)}, which it chooses")
    return Record(document, weights)


def _stored(tensor: Tensor) -> Tensor:
    return tensor.detach().half().contiguous()


def share_right(way: Way, images: ImageSet, place: Place, streams: Iterable[int]) -> float:
    """Share of right answers, 0..1, mean over the streams."""
    return float(np.mean([carry(way, images.images, place, stream) == images.labels for stream in streams]))
