"""A codec as a system: which way it is sent at a place, carried over the channel, every answer kept.

Knows nothing about what the codec is. Label code, picture codes, other people's networks: each is a `Carried`.
"""

from abc import abstractmethod

from training.systems.bench import Bench
from training.systems.carry import Way, carry, layout_of, spec_of
from training.systems.ends import Ends, codec_ends
from training.systems.system import Measured, Place, System, require_estimated


class Carried(System):
    """Says for each place which codec is sent with how many pilots; the rest is the same for all."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @abstractmethod
    def way(self, place: Place) -> Way:
        """What is sent there: `codec.symbols` and, with estimated CSI, `pilots` of it are at most `place.n` together.

        Raises NotThere, with the reason in one line.
        """

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """See `System`."""
        way = self.way(place)
        uses = way.codec.symbols + (way.pilots if place.csi == "estimated" else 0)
        if uses > place.n:
            raise ValueError(f"system {self.name} would take {uses} uses where there are {place.n}")
        decided = carry(way, self.bench.images, place, stream, seed)
        return Measured((decided == self.bench.labels).astype(float), float(uses), decided)

    def ends(self, place: Place, stream: int, seed: int) -> Ends:
        """See `System`. Its transmitter is told the average SNR of the place, as by `measure`."""
        require_estimated(place.csi)
        way = self.way(place)
        layout = layout_of(way, place)
        channel = spec_of(place, layout, seed)
        return codec_ends(self.name, way.codec, layout, self.bench.manifest, channel, stream, place.snr_db)
