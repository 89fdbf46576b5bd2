"""The receiver's chain in one process: received frames -> channel estimates and answers, for many transmitters.

Knows nothing about sockets, sessions or deadlines. The diagram of the whole system is in `sctx/pipeline.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from common.pair.manifest import Manifest
from scrx.decoding.answerer import Answerer
from scrx.decoding.brought import attainable_by
from scrx.decoding.tasks import Outputs
from scrx.demodulation.demodulate import Demodulator, Received
from scrx.demodulation.tracker import ChannelEstimate


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame's answers by task, and the channel it came through (None: no pilots, nothing was estimated)."""

    outputs: Outputs
    estimate: ChannelEstimate | None


class ReceiveChain:
    """Demodulator and decoder of one pair. For one thread."""

    def __init__(self, manifest: Manifest) -> None:
        self.demodulator = Demodulator(manifest.layout)
        self.answerer = Answerer(manifest)
        self.attainable = attainable_by(None, manifest)

    def receive(self, frames: Sequence[Received]) -> list[Decoded]:
        """Estimate and equalise each frame in order, then decode them as one batch."""
        soft, estimates = self.demodulator.demodulate(frames)
        outputs = self.answerer.answer(soft)
        return [Decoded(output, estimate) for output, estimate in zip(outputs, estimates, strict=True)]
