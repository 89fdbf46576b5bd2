"""What both ends of a link must agree on, whatever encodes and decodes. Knows nothing about networks or files.

Of a pair it is a part of its manifest (`manifest.py`). Whoever brings an encoder and a decoder of their own makes one:
both ends hold the same, and the receiver refuses a transmitter whose `id` differs.
"""

from dataclasses import dataclass

from common.errors import ModelError
from common.pair.shapes import Accuracy, Preprocess
from common.phy.layout import Layout

MOST_CLASSES, LONGEST_NAME = 65_536, 200


@dataclass(frozen=True, slots=True)
class Agreement:
    """`id`: 64 hex digits, which say it all: of a pair the SHA-256 of its manifest.

    accuracy: by which a rate is chosen; None: not measured, and then there is but one rate.
    """

    name: str
    id: str
    layout: Layout
    preprocess: Preprocess
    labels: tuple[str, ...]
    tasks: tuple[str, ...]
    accuracy: Accuracy | None

    def __post_init__(self) -> None:
        if not 2 <= len(self.labels) <= MOST_CLASSES or not all(0 < len(one) <= LONGEST_NAME for one in self.labels):
            raise ModelError(f"a pair has 2 to {MOST_CLASSES} classes, with names of 1 to {LONGEST_NAME} characters")
        if not 0 < len(self.name) <= LONGEST_NAME or not 0 < len(self.tasks) <= 64:
            raise ModelError("it has no name of its own, or no tasks, or too many of them")
        if len(self.id) != 64 or set(self.id) - set("0123456789abcdef"):
            raise ModelError("its id is not 64 hex digits")
        rates = len(self.layout.increments)
        measured = 1 if self.accuracy is None else len(self.accuracy.acc)
        if measured != rates:
            raise ModelError(f"the accuracy table has {measured} rates, not {rates}")
