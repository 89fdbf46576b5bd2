"""The closed loop as a system: the controller chooses each image's symbols, at most n uses, from the reports it gets.

Knows nothing about the controller's reasons. Sessions, messages, controller and receiver are those of the running link
with one frame in flight (`training/lab/direct.py`).
"""

import numpy as np

from common.channel.spec.spec import ChannelSpec
from sctx.rate.policy import Goal, RatePolicy
from training.lab.direct import Encodings, run_direct
from training.systems.bench import Bench
from training.systems.carry import FADING
from training.systems.ends import Ends, steady
from training.systems.ours import Ours, fitting
from training.systems.system import Measured, NotThere, Place, require_estimated


class OursAdaptive(Ours):
    """`ours`, which may send less: the fewest symbols within a point of the full ladder, as far as they fit into n."""

    policy = RatePolicy("adaptive", goal=Goal("within", 1.0))
    home = (("block-rayleigh", "estimated", 32),)

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench, "ours-adaptive")
        self._encodings = Encodings()

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`; uses: the mean over the images."""
        manifest = self.bench.manifest
        if place.csi == "perfect":
            raise NotThere("the closed loop estimates its channel: there is no report without pilots")
        most = fitting(manifest, place)
        spec = self._spec(place, seed)
        answers = list(run_direct(manifest, self.bench.images, spec, stream, self.policy,
                                  device=self.bench.device, encodings=self._encodings, most=most))  # fmt: skip
        decided = np.array([one.answer for one in answers], np.int64)
        uses = float(np.mean([one.uses for one in answers]))
        return Measured((decided == self.bench.labels).astype(float), uses, decided)

    def ends(self, place: Place, stream: int, seed: int) -> Ends:
        """See `System`. Its transmitter believes the reports."""
        require_estimated(place.csi)
        manifest = self.bench.manifest
        most = fitting(manifest, place)
        return Ends(manifest, self._spec(place, seed), steady(stream, self.policy), told_db=None, most=most)

    def _spec(self, place: Place, seed: int) -> ChannelSpec:
        slot = self.bench.manifest.layout.slot
        return ChannelSpec(snr_db=place.snr_db, fading=FADING[place.channel], coherence=slot, seed=seed)
