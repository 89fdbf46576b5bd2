"""A system as the suites ask for it: a place in, what became of every image out. Knows nothing about files."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.systems.ends import Ends

CHANNELS = ("awgn", "block-rayleigh")
CSI = ("perfect", "estimated")
"""perfect: the receiver knows h and N0, and no pilots are sent. estimated: from pilots, which count; or without any."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a system is measured. n: complex channel uses per image, pilots counted; snr_db: average Es/N0."""

    channel: str
    csi: str
    n: int
    snr_db: float


class NotThere(Exception):
    """A system has no number at a place; the text says why, in one line."""


def require_estimated(csi: str) -> None:
    """Raise NotThere where a channel is known: a link has to estimate its own."""
    if csi in ("known", "perfect"):
        raise NotThere(f"a link has to estimate its channel, so csi {csi} is measured without one")


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the images. right: float64 [N], 1 or 0, or the probability where it is known without drawing.

    decided: the answers, int64 [N], where there are any; uses: channel uses of each image, the mean.
    """

    right: NDArray[np.float64]
    uses: float
    decided: NDArray[np.int64] | None = None


class System(ABC):
    """One curve of the figures. A system that is trained says in `about` what that took."""

    name: str
    home: tuple[tuple[str, str, int], ...] = ()
    """Channel, csi and n where it belongs, and where it is measured over more channels; none: where its suite says."""
    made_of: str | None = ""
    """What a number of it depends on beside the bench and the shipped files of its name, as a hash; None: nobody knows,
    and none of its numbers is kept."""

    @abstractmethod
    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """The test images as frames 0..N-1 of a stream of the channel that `seed` makes. NotThere says why not."""

    def ends(self, place: Place, stream: int, seed: int) -> Ends:
        """What a real link is given so that it decides as `measure` does, image by image. NotThere says why not."""
        raise NotThere(f"{self.name} has no two ends: nothing is sent")

    @property
    def tx_accuracy(self) -> float | None:
        """Share of the images that its transmitter itself would get right (0..1); None: it makes no decision."""
        return None

    @property
    def macs(self) -> float | None:
        """Multiply-accumulates of the transmitter for one image; None: not counted."""
        return None

    @property
    def about(self) -> dict[str, Any]:
        """What a reader needs to judge it, JSON-ready: parameters, tuning, what it is held to, what it assumes."""
        return {}
