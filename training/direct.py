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
from scrx.pipeline import ReceiveChain, Received
from sctx.belief import Report
from sctx.pipeline import TransmitChain
from sctx.rate import RatePolicy, decide


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """One image through the loop. `symbols`: payload; `uses`: with pilots; SNR in dB (Es/N0)."""

    answer: int
    confidence: float
    symbols: int
    uses: int
    snr_est_db: float


def run_direct(
    manifest: Manifest,
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    spec: ChannelSpec,
    stream: int,
    policy: RatePolicy,
    device: str = "cpu",
) -> Iterator[DirectAnswer]:
    """images: uint8 [N, H, W, C] as the manifest says, sent as frames 0..N-1 of `stream`."""
    transmit, receive, channel = TransmitChain(manifest, device), ReceiveChain(manifest, device), Channel(spec)
    layout, report, rate = manifest.layout, None, None
    for seq, image in enumerate(images):
        air = layout.air_start(seq, 0)
        decision = decide(policy, report, air, layout.rates, manifest.accuracy, rate)
        rate = decision.rate
        symbols = transmit.modulate(transmit.encode(image[None]), decision.told_snr_db)[0]
        received, _ = channel.apply(stream, air, transmit.frame(symbols, 0, decision.rate))
        (decoded,) = receive.receive([Received("direct", seq, received, air, 0, decision.rate, ("classify",))])
        seen, answer = decoded.estimate, decoded.outputs["classify"]
        report = Report(seen.snr_inst_db, seen.snr_avg_db, seen.inst_error_db, seen.fd, air, 0)
        sent = layout.rates[decision.rate]
        yield DirectAnswer(answer["index"], answer["confidence"], sent, sent + layout.pilots, seen.snr_inst_db)
