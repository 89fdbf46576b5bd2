"""What is asked over the link, in a form that any process can rebuild: images, and for each question both ways.

Knows nothing about processes. A question is plain JSON: where, for which system, and which stream of the channel.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.images.datasets import load_for
from common.pair.manifest import Manifest, find_pair
from training.lab.evaluation import Lab, Setting
from training.systems.ends import Ends, pair_ends
from training.systems.system import require_estimated

Question = dict[str, Any]
"""What is asked of a subject; NaN and infinity are numbers in it."""


class Subject(ABC):
    """Images, and what is asked about them."""

    @property
    @abstractmethod
    def images(self) -> NDArray[np.uint8]:
        """uint8 [N, H, W, C], as frames 0..N-1 of the stream that a question names."""

    @abstractmethod
    def ends(self, question: Question) -> Ends:
        """What both ends of the link are given. NotThere says why no link can answer it."""

    @abstractmethod
    def direct(self, question: Question) -> NDArray[np.int64]:
        """The decisions without a link, int64 [N]."""


@dataclass
class PairSubject(Subject):
    """A pair by itself, as `training.lab.evaluation` measures it. most: images; None: all of the split."""

    pair: str
    dataset: str
    split: str
    most: int | None = None

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """See `Subject`."""
        return load_for(self._manifest, self.dataset, self.split).some(self.most).images

    def ends(self, question: Question) -> Ends:
        """See `Subject`. Its transmitter is told what the setting says, its rate is the setting's."""
        asked = Setting(**question)
        require_estimated(asked.csi)
        return pair_ends(self._manifest, asked, asked.stream)

    def direct(self, question: Question) -> NDArray[np.int64]:
        """See `Subject`."""
        return self._lab.decide(Setting(**question), question["stream"])

    @cached_property
    def _manifest(self) -> Manifest:
        return find_pair(self.pair)

    @cached_property
    def _lab(self) -> Lab:
        return Lab(self._manifest, self.images)


def questions_of(settings: Sequence[Setting]) -> list[Question]:
    """One for each stream of each setting."""
    return [
        {**asdict(one), "stream": stream} for one in settings for stream in range(one.stream, one.stream + one.seeds)
    ]
