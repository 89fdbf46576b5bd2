"""The suites as data: which pair on which images, which places, how many channels. Knows nothing about systems."""

from dataclasses import dataclass

from common.errors import ConfigError
from training.systems.bench import OWN
from training.systems.system import CHANNELS, CSI, Place

GRID_DB = (-10.0, -8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0)
Corner = tuple[str, str, int]
"""Channel, csi and n: what has one curve for each system."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Channels x csi x n x SNR. home: where a system belongs that says nothing else; home_seeds, seeds: channels per
    image there and elsewhere; far_seeds: at a home outside the grid, where whole pictures are, and long to decode."""

    name: str
    pair: str
    snrs_db: tuple[float, ...]
    home_seeds: int
    seeds: int
    dataset: str | None = None
    """None: what the pair was trained on."""
    channels: tuple[str, ...] = CHANNELS
    csi: tuple[str, ...] = CSI
    n: tuple[int, ...] = (8, 16, 32, 64)
    home: Corner = ("awgn", "perfect", 16)
    far_seeds: int = 1

    @property
    def corners(self) -> tuple[Corner, ...]:
        """In the order in which they are measured and shown."""
        return tuple((channel, csi, n) for channel in self.channels for csi in self.csi for n in self.n)

    def places(self, corner: Corner) -> tuple[Place, ...]:
        """The same at every SNR."""
        return tuple(Place(*corner, snr_db) for snr_db in self.snrs_db)


SUITES = {
    one.name: one
    for one in (
        Suite("quick", OWN["quick"], (-10.0, -6.0, -3.0, 0.0, 3.0, 6.0, 10.0, 15.0, 20.0), 4, 1, "digits", far_seeds=4),
        Suite("cifar10", OWN["cifar10"], GRID_DB, 4, 1),
        Suite("tinyimagenet100", OWN["tinyimagenet100"], GRID_DB, 4, 1),
    )
}


def find_suite(name: str) -> Suite:
    """A suite by name. ConfigError for one that there is not."""
    if name not in SUITES:
        raise ConfigError(f"--suite {name}: there are {', '.join(SUITES)}")
    return SUITES[name]
