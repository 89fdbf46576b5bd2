"""The closed loop without sockets: the same chains, channel and rate policy as the three processes, frame after frame.

Knows nothing about training. At the same seed, stream and air positions its received samples are those of the real link
with one frame in flight (`sctx --window 1`), so its decisions are too; a test holds the two together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.channel.channel import Channel
from common.channel.spec import ChannelSpec
from common.manifest import Manifest
from scrx.pipeline import Decoded, ReceiveChain, Received
from sctx.belief import Report
from sctx.pipeline import TransmitChain
from sctx.rate import RatePolicy, decide


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """One image through the loop. `symbols`: payload of all rounds; `uses`: with pilots; SNR in dB (Es/N0)."""

    answer: int
    confidence: float
    symbols: int
    uses: int
    snr_est_db: float | None
    round: int


def run_direct(
    manifest: Manifest,
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    spec: ChannelSpec,
    stream: int,
    policy: RatePolicy,
    ask_below: float = 0.0,
    device: str = "cpu",
) -> Iterator[DirectAnswer]:
    """images: uint8 [N, H, W, C] as the manifest says, sent as frames 0..N-1 of `stream`.

    ask_below: confidence (0 to 1) below which an image's next increment follows, as with `sctx --arq incremental`.
    """
    loop = _Loop(manifest, Channel(spec), stream, policy, device)
    for seq, image in enumerate(images):
        symbols, rate = loop.decide(seq, image)
        round_, uses = 0, manifest.layout.frame_symbols(0, rate)
        decoded = loop.pass_on(seq, 0, symbols, 0, rate)
        while decoded.outputs["classify"]["confidence"] < ask_below and rate + 1 < len(manifest.layout.increments):
            round_, rate = round_ + 1, rate + 1
            uses += manifest.layout.frame_symbols(rate, rate)
            decoded = loop.pass_on(seq, round_, symbols, rate, rate)
        answer = decoded.outputs["classify"]
        sent = manifest.layout.rates[rate]
        yield DirectAnswer(
            answer["index"],
            answer["confidence"],
            sent,
            uses,
            decoded.estimate.snr_inst_db if decoded.estimate else None,
            round_,
        )


class _Loop:
    """Transmitter, channel and receiver of one stream, and the report that closes the loop."""

    def __init__(self, manifest: Manifest, channel: Channel, stream: int, policy: RatePolicy, device: str) -> None:
        self._manifest, self._channel, self._stream, self._policy = manifest, channel, stream, policy
        self._transmit, self._receive = TransmitChain(manifest, device), ReceiveChain(manifest, device)
        self._report: Report | None = None
        self._rate: int | None = None

    def decide(self, seq: int, image: NDArray[np.uint8]) -> tuple[NDArray[np.complex64], int]:
        """The image's full ladder, complex64 [S], and the last increment of round 0."""
        layout, table = self._manifest.layout, self._manifest.accuracy
        decision = decide(self._policy, self._report, layout.air_start(seq, 0), layout.rates, table, self._rate)
        self._rate = decision.rate
        return self._transmit.modulate(self._transmit.encode(image[None]), decision.told_snr_db)[0], decision.rate

    def pass_on(self, seq: int, round_: int, symbols: NDArray[np.complex64], start: int, rate: int) -> Decoded:
        """Send increments start..rate through the channel and decode what is known of the image by then."""
        air = self._manifest.layout.air_start(seq, round_)
        frame = self._transmit.frame(symbols, start, rate)
        received, _ = self._channel.apply(self._stream, air, frame, round_)
        (decoded,) = self._receive.receive([Received("direct", seq, received, air, start, rate, ("classify",))])
        seen = decoded.estimate
        if seen is not None and (self._report is None or air >= self._report.air_start):
            self._report = Report(seen.snr_inst_db, seen.snr_avg_db, seen.inst_error_db, seen.fd, air, 0)
        return decoded
