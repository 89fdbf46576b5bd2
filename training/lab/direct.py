"""The closed loop without sockets, for experiments: a loopback that may know features, and the channel.

Knows nothing about training. At the same seed, stream and air positions its decisions are those of the three processes
with one frame in flight (`sctx --window 1`); a test holds the two together.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.channel.streams.channel import Channel
from common.pair.manifest import Manifest
from sctx.chain import Chain
from sctx.outcomes import Answer
from sctx.rate.belief import Report
from sctx.rate.controller import Controller
from sctx.rate.decision import Decision, Sharing
from sctx.rate.policy import RatePolicy
from sctx.settings import Settings
from training.lab.loopback import Loopback


def run_direct(
    manifest: Manifest,
    images: Iterable[NDArray[np.uint8]],
    spec: ChannelSpec,
    stream: int,
    policy: RatePolicy,
    ask_below: float = 0.0,
    feedback: FeedbackSpec | None = None,
    device: str = "cpu",
    backend: str = "torch",
    encodings: "Encodings | None" = None,
    most: int | None = None,
    trust_reports: bool = False,
) -> Iterator[Answer]:
    """images: uint8 [N, H, W, C] as the manifest says, sent as frames 0..N-1 of `stream`.

    policy: may be a genie's, which no link can serve. ask_below: confidence (0 to 1) below which an image's next
    increment follows, as with `sctx --arq incremental`. feedback: what happens to the reports on their way back, as
    with `channel-emu --feedback-loss` and the like. encodings: features that are known from other runs. most: payload
    symbols that no image takes more of, whatever the policy would like. device, backend: of the transmitter.
    trust_reports: as of `sctx.Settings`.
    """
    genie = policy.kind == "genie"
    settings = Settings(stream=stream, policy="robust" if genie else policy, ask_below=ask_below, device=device,
                        backend=backend, trust_reports=trust_reports)  # fmt: skip
    with _Direct(manifest, spec, settings, feedback) as link:
        link.encodings = encodings or Encodings()
        link.genie = _Genie(policy, manifest, spec, stream) if genie else None
        link.highest = max(k for k, symbols in enumerate(manifest.layout.rates) if most is None or symbols <= most)
        for image in images:
            yield link.send(image)
            link.link.answers.clear()  # what the receiver would have shown, nobody reads


class Encodings:
    """Features of images, for runs that see them again: no channel and no policy changes what the encoder gives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], NDArray[Any]] = {}

    def of(self, chain: Chain, image: NDArray[np.uint8]) -> NDArray[Any]:
        """image: uint8 [H, W, C] -> what the chain encodes of it; alone, as the transmitter does it."""
        key = chain.agreement.id, image.tobytes()
        if key not in self._known:
            self._known[key] = chain.encode(image[None])
        return self._known[key]


class _Genie:
    """Decides on what the channel will do to the frame that is about to be sent."""

    def __init__(self, policy: RatePolicy, manifest: Manifest, spec: ChannelSpec, stream: int) -> None:
        sharing = Sharing(manifest.words, Settings().features)
        self._controller = Controller(policy, manifest.layout, manifest.accuracy, sharing)
        self._channel, self._stream = Channel(spec), stream
        self._frame = np.ones(manifest.layout.pilots + manifest.layout.max_symbols, np.complex64)

    def decide(self, air_start: int, now_ns: int) -> Decision:
        """See `Controller.decide`."""
        truth = self._channel.truth(self._stream, air_start, self._frame)
        return self._controller.decide(air_start, now_ns, Report.exact(truth.snr_inst_db, air_start, now_ns))


class _Direct(Loopback):
    encodings: Encodings
    genie: _Genie | None
    highest: int
    """The highest rate that may be sent."""

    def _features(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self.encodings.of(self.chain, image)

    def _decide(self, air_start: int, now_ns: int) -> Decision:
        decision = (self.genie or self._controller).decide(air_start, now_ns)
        return replace(decision, rate=min(decision.rate, self.highest))
