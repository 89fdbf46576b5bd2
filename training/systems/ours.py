"""Pairs as systems: the one that is measured, and others that were trained otherwise.

Knows nothing about how they were trained. A pair sends the longest prefix of its symbols that fits into n with its
pilots, is told the average SNR, and is received as the running link receives it (`training/lab/evaluation.py`).
"""

import math
from functools import cached_property
from typing import Any

from common.errors import DataError
from common.pair.manifest import MANIFEST, Manifest, find_pair
from training.data.images import fingerprint
from training.lab.evaluation import Lab, Setting
from training.systems.bench import Bench
from training.systems.ends import Ends, pair_ends
from training.systems.system import Measured, NotThere, Place, System, require_estimated

VARIANTS = ("no-distillation", "online-distillation")
"""Pairs of the suite's recipe with one thing changed; `training.baseline` makes them."""


class Ours(System):
    """A pair at every place where its pilots and its shortest prefix fit."""

    def __init__(self, bench: Bench, name: str = "ours", told: bool = True) -> None:
        """bench: of this pair; told: whether its transmitter is told the average SNR."""
        self.bench, self.name, self.told = bench, name, told

    def payload(self, place: Place) -> int:
        """Symbols that are sent there, pilots not among them. NotThere where nothing fits."""
        return fitting(self.bench.manifest, place)

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`."""
        setting = setting_of(place, self.payload(place), seed, self.told)
        decided = self.lab.decide(setting, stream)
        uses = setting.symbols + (self.bench.manifest.layout.pilots if place.csi == "estimated" else 0)
        return Measured((decided == self.bench.labels).astype(float), float(uses), decided)

    def ends(self, place: Place, stream: int, seed: int) -> Ends:
        """See `System`."""
        require_estimated(place.csi)
        manifest = self.bench.manifest
        return pair_ends(manifest, setting_of(place, self.payload(place), seed, self.told), stream)

    @cached_property
    def lab(self) -> Lab:
        """The pair with the images encoded."""
        return Lab(self.bench.manifest, self.bench.images, self.bench.device)

    @property
    def tx_accuracy(self) -> float:
        """See `System`."""
        return self.bench.tx_accuracy

    @property
    def macs(self) -> float:
        """See `System`."""
        return float(self.bench.encoder_cost[1])

    @property
    def about(self) -> dict[str, Any]:
        """See `System`."""
        manifest, noted = self.bench.manifest, self.bench.manifest.provenance
        kept = ("recipe", "seed", "command", "data", "soft_labels", "epochs")
        return {"pair": manifest.name, "id": manifest.id, "parameters": self.bench.encoder_cost[0],
                "trained": {key: noted[key] for key in kept if key in noted}}  # fmt: skip


def fitting(manifest: Manifest, place: Place) -> int:
    """The longest prefix, in symbols, that fits into n with the pilots. NotThere where none does."""
    layout = manifest.layout
    pilots = layout.pilots if place.csi == "estimated" else 0
    fits = [symbols for symbols in layout.rates if symbols + pilots <= place.n]
    if not fits:
        raise NotThere(f"{pilots} pilots and the shortest prefix, {layout.rates[0]} symbols, are more than {place.n}")
    return fits[-1]


def setting_of(place: Place, symbols: int, seed: int, told: bool = True) -> Setting:
    """A place as `training.lab.evaluation` knows it."""
    csi = "known" if (place.csi, place.channel) == ("perfect", "awgn") else place.csi
    told_db = place.snr_db if told else math.nan
    return Setting(place.channel, csi, place.snr_db, symbols, 1, seed, 0, 0.0, told_db)


def missing(bench: Bench, name: str) -> str:
    """Why a system that is to be trained has no number, and what mends it."""
    return f"not trained yet: {bench.command(name)}"


def trained_otherwise(bench: Bench, name: str) -> Ours:
    """A variant's pair. NotThere names the command that makes it."""
    folder = bench.folder(name)
    if not (folder / MANIFEST).is_file():
        raise NotThere(missing(bench, name))
    found = find_pair(folder)
    try:
        others = found.provenance.get("data") != fingerprint(bench.train())
    except DataError:  # there are images to measure on and no others
        others = not bench.is_own
    if others:
        raise NotThere(f"trained on other images than those of {bench.test.name}: {bench.command(name)}")
    return Ours(bench.of(found), name)
