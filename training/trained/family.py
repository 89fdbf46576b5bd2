"""What a baseline with fitted weights says of itself: its choices, its members, and how one becomes a codec.

Knows nothing about how choices are tried, or where weights lie.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from training.systems.codec import Codec
from training.trained.fronts import PIXELS, Examples, Front
from training.trained.small_nets import Settings

Weights = dict[str, Tensor]
Space = Mapping[str, tuple[Any, ...]]


class Family(ABC):
    """A method, fitted as several members: for other rates, other SNRs, other numbers of bits."""

    name: ClassVar[str]
    source: ClassVar[str]
    """The paper, and what was taken from it."""
    front: ClassVar[str] = PIXELS
    """What its networks see, `pixels` or `ours`."""
    space: ClassVar[Space]
    """What is chosen on held-out images; the first of each is as published, and is the first trial."""
    reference: ClassVar[tuple[str, ...]]
    """The members that a trial fits."""

    @abstractmethod
    def members(self) -> tuple[str, ...]:
        """All that are fitted with what was chosen."""

    def worth_trying(self, member: str, uses: int, snr_db: float) -> bool:
        """Whether a member that fits may be the best where the average SNR is this, in dB."""
        return True

    @abstractmethod
    def fit(self, member: str, examples: Examples, settings: Settings, folder: Path, seed: int) -> Weights:
        """Train one; what was killed goes on from `folder`."""

    @abstractmethod
    def codec(
        self, member: str, weights: Weights, settings: Settings, front: Front, classes: int, uses: int, told_db: float
    ) -> Codec | None:
        """A member as it sends at most `uses` symbols, its transmitter told the average SNR; None: it does not fit."""
