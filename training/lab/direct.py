"""The closed loop without sockets: the same chains, channel and rate policy as the three processes, frame after frame.

Knows nothing about training. At the same seed, stream and air positions its received samples are those of the real link
with one frame in flight (`sctx --window 1`), so its decisions are too; a test holds the two together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.channel.streams.channel import Channel
from common.channel.wire.impaired_reports import Feedback
from common.pair.manifest import Manifest
from common.protocol.frames import ResultHead
from common.protocol.messages import Status
from scrx.decoding.tasks import CLASSIFY, Outputs, confidence_of
from scrx.demodulation.demodulate import Received
from scrx.pipeline import Decoded, ReceiveChain
from sctx.pipeline import TransmitChain
from sctx.rate.belief import Report
from sctx.rate.controller import Controller
from sctx.rate.policy import RatePolicy


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """One image through the loop. `symbols`: payload of all rounds; `uses`: with pilots.

    snr_est_db: the SNR in dB (Es/N0) that the last answer reported, None where it came without a report.
    """

    answer: int
    confidence: float
    symbols: int
    uses: int
    snr_est_db: float | None
    round: int


def run_direct(
    manifest: Manifest,
    images: Iterable[NDArray[np.uint8]],
    spec: ChannelSpec,
    stream: int,
    policy: RatePolicy,
    ask_below: float = 0.0,
    feedback: FeedbackSpec | None = None,
    device: str = "cpu",
    encodings: "Encodings | None" = None,
) -> Iterator[DirectAnswer]:
    """images: uint8 [N, H, W, C] as the manifest says, sent as frames 0..N-1 of `stream`.

    ask_below: confidence (0 to 1) below which an image's next increment follows, as with `sctx --arq incremental`.
    feedback: what happens to the reports on their way back, as with `channel-emu --feedback-loss` and the like.
    encodings: features that are known from other runs.
    """
    layout, feedback, encodings = manifest.layout, feedback or FeedbackSpec(), encodings or Encodings()
    loop = _Loop(manifest, Channel(spec), stream, policy, feedback, device, encodings)
    percent = round(100 * ask_below)
    for seq, image in enumerate(images):
        symbols, rate = loop.decide(seq, image)
        round_, uses = 0, layout.frame_symbols(0, rate)
        outputs = loop.pass_on(seq, 0, symbols, 0, rate)
        while 100.0 * confidence_of(outputs) < percent and rate + 1 < len(layout.increments):
            round_, rate = round_ + 1, rate + 1
            uses += layout.frame_symbols(rate, rate)
            outputs = loop.pass_on(seq, round_, symbols, rate, rate)
        sure, answer = confidence_of(outputs), outputs[CLASSIFY]["index"]
        yield DirectAnswer(answer, sure, layout.rates[rate], uses, loop.reported_db, round_)


class Encodings:
    """Features of images, for runs that see them again: no channel and no policy changes what the encoder gives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], NDArray[np.float32]] = {}

    def of(self, chain: TransmitChain, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """image: uint8 [H, W, C] -> features float32 [1, 2 S]; encoded alone, as the transmitter does it."""
        key = chain.manifest.id, image.tobytes()
        if key not in self._known:
            self._known[key] = chain.encode(image[None])
        return self._known[key]


class _Loop:
    """Transmitter, channel and receiver of one stream, and the report that closes the loop."""

    def __init__(
        self,
        manifest: Manifest,
        channel: Channel,
        stream: int,
        policy: RatePolicy,
        feedback: FeedbackSpec,
        device: str,
        encodings: Encodings,
    ) -> None:
        self._encodings = encodings
        self._manifest, self._channel, self._stream = manifest, channel, stream
        self._transmit, self._receive = TransmitChain(manifest, device), ReceiveChain(manifest, device)
        self._controller = Controller(policy, manifest.layout, manifest.accuracy)
        self._feedback = Feedback(feedback, channel.spec.seed)
        self.reported_db: float | None = None

    def decide(self, seq: int, image: NDArray[np.uint8]) -> tuple[NDArray[np.complex64], int]:
        """The image's full ladder, complex64 [S], and the last increment of round 0."""
        layout, features = self._manifest.layout, self._encodings.of(self._transmit, image)
        air = layout.air_start(seq, 0)
        decision = self._controller.decide(air, 0, self._truth(air))
        return self._transmit.modulate(features, decision.told_snr_db)[0], decision.rate

    def pass_on(self, seq: int, round_: int, symbols: NDArray[np.complex64], start: int, rate: int) -> Outputs:
        """Send increments start..rate through the channel; what is known of the image by then."""
        air = self._manifest.layout.air_start(seq, round_)
        frame = self._transmit.frame(symbols, start, rate)
        received, _ = self._channel.apply(self._stream, air, frame, round_)
        (decoded,) = self._receive.receive([Received("direct", seq, received, air, start, rate, (CLASSIFY,))])
        told = self._feedback.carry(self._stream, _head(seq, round_, decoded, air))
        self.reported_db = told.snr_inst_db
        self._controller.hear(told, 0)
        return decoded.outputs

    def _truth(self, air: int) -> Report | None:
        """What a genie knows of the channel at air sample `air`; None to any other policy."""
        if self._controller.policy.kind != "genie":
            return None
        layout = self._manifest.layout
        truth = self._channel.truth(self._stream, air, np.ones(layout.pilots + layout.max_symbols, np.complex64))
        return Report.exact(truth.snr_inst_db, air, 0)


def _head(seq: int, round_: int, decoded: Decoded, air: int) -> ResultHead:
    """What a RESULT would say of the channel."""
    seen = decoded.estimate
    if seen is None:
        return ResultHead(b"", seq, round_, Status.OK, None, None, None, None, None, air)
    errors = seen.inst_error_db, seen.avg_error_db
    return ResultHead(b"", seq, round_, Status.OK, seen.snr_inst_db, seen.snr_avg_db, *errors, seen.fd, air)
