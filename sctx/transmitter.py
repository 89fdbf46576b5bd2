"""The transmitter: images in, answers out, over one link. The Python API of the transmitting half.

    with sctx.Transmitter("127.0.0.1:5556") as tx:
        answer = tx.send(image)          # uint8 [H, W] or [H, W, 3]
        print(answer.name, answer.confidence, answer.symbols, answer.snr_est_db)

Knows nothing about where images come from or how answers are shown.
"""

import math
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common import __version__
from common.check import real, switch, text, whole
from common.errors import ConfigError, SemlinkError
from common.images.photo import fit_image
from common.pair.manifest import Manifest, find_pair, read_half
from common.protocol.messages import Accept, Status
from common.text import safe
from common.transport.curve import reach
from sctx.actions import Answered, Down, Failed, Frame, Lost, Terms, Up
from sctx.answers import Answer, Missed
from sctx.capture.feed import Feed
from sctx.capture.source import Capture
from sctx.link import Link
from sctx.rate.controller import Controller
from sctx.rate.policy import RatePolicy

if TYPE_CHECKING:
    from sctx.pipeline import TransmitChain

CLASSIFY = "classify"
MAX_STARTS = 8
LIVE_DEADLINE_MS, FINITE_DEADLINE_MS = 500, 10_000


@dataclass(slots=True)
class _InFlight:
    """An image on its way: its full ladder of symbols, and what was sent of it."""

    capture: Capture
    symbols: NDArray[np.complex64]
    rate: int
    encode_us: int
    modulate_us: int
    round: int = 0
    uses: int = 0
    starts: int = 1


class Transmitter:
    """One session with a receiver, straight or through a channel emulator.

    peer: "HOST:PORT". model: a shipped pair's name or a directory. stream: number of the channel's random stream
    (default: random). policy: how the rate is chosen, a RatePolicy or what RatePolicy.parse takes, such as "robust".
    live: skip images when there is no credit and
    give up on old ones, instead of waiting. deadline_ms: age at which an answer is worth nothing (500 live, 10,000
    otherwise). window: so many frames in flight at most (the receiver may allow fewer). give_up_s: how long to go on
    without getting anywhere. ask_below: confidence (0 to 1) below which the receiver asks for an image's next
    increments; 0: never. tasks: what to ask for, such as ("classify", "embedding"), () for everything; answers carry no
    more than that (default: the class). device: "auto", "cpu" or "cuda". keys: folder of the keys that encrypt the link
    (default: the user's own, if there is one); insecure: no encryption, keys or not.

    Raises ConfigError, ModelError on opening; PeerRejected, LinkDown while sending. Not for several threads at once.
    """

    def __init__(
        self,
        peer: str,
        model: str | Path | Manifest = "digits",
        *,
        stream: int | None = None,
        policy: RatePolicy | str | None = None,
        live: bool = False,
        deadline_ms: int | None = None,
        window: int | None = None,
        give_up_s: float = 60.0,
        ask_below: float = 0.0,
        tasks: Sequence[str] | None = None,
        device: str = "auto",
        keys: str | Path | None = None,
        insecure: bool = False,
    ) -> None:
        self.manifest = model if isinstance(model, Manifest) else find_pair(model)
        self.policy = _policy(policy)
        self._controller = Controller(self.policy, self.manifest.layout, self.manifest.accuracy)
        address, found = reach(peer, keys, insecure, "peer")
        self.stream = secrets.randbits(32) if stream is None else whole("stream", stream, 0, 2**32 - 1)
        self.live = switch("live", live)
        self._ask_below = round(100 * real("ask_below", ask_below, 0.0, 1.0))
        self.accept: Accept | None = None
        self._seq = 0
        self._flying: dict[int, _InFlight] = {}
        default = LIVE_DEADLINE_MS if live else FINITE_DEADLINE_MS
        terms = Terms(
            session=secrets.token_bytes(16),
            model_id=bytes.fromhex(self.manifest.id),
            software=f"semlink {__version__}",
            slot=self.manifest.layout.slot,
            live=live,
            deadline_ms=default if deadline_ms is None else whole("deadline_ms", deadline_ms, 1, 65535),
            give_up_s=real("give_up_s", give_up_s, 0.0, above=True),
            window=255 if window is None else whole("window", window, 1, 255),
            tasks=_tasks(tasks, self.manifest),
        )
        self.chain = _load_chain(self.manifest, text("device", device))
        self.link = Link(address, terms, found, self._controller.hear)

    def __enter__(self) -> "Transmitter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye to the receiver and free the socket."""
        self.link.close()

    def connect(self, timeout_s: float | None = None) -> Accept | None:
        """Wait until the receiver accepts; its terms, or None after `timeout_s`. Raises PeerRejected, LinkDown."""
        until = math.inf if timeout_s is None else time.monotonic() + real("timeout_s", timeout_s, 0.0)
        while self.accept is None and time.monotonic() < until:
            self._next_outcome(0.1)
        return self.accept

    @property
    def in_flight(self) -> int:
        """Images on their way."""
        return len(self._flying)

    def finish(self, timeout_s: float) -> Iterator[Answer | Missed]:
        """What still comes of the images on their way, for at most `timeout_s`."""
        until = time.monotonic() + real("timeout_s", timeout_s, 0.0)
        while self._flying and time.monotonic() < until:
            if outcome := self._next_outcome(0.05):
                yield outcome

    def send(self, image: NDArray[np.uint8]) -> Answer:
        """Send one image and wait for its answer. image: uint8 [H, W] or [H, W, 3], resized as the manifest says.

        Raises DataError for anything else, PeerRejected, LinkDown, and SemlinkError if the receiver could not answer.
        """
        self._clear()
        while not self._may_send:
            self._next_outcome(0.1)
        self._submit(Capture(self._seq, image, None, time.monotonic_ns()))
        while (outcome := self._next_outcome(0.1)) is None:
            pass
        if isinstance(outcome, Missed):
            raise SemlinkError(f"no answer: the image {outcome.why} (see the receiver's log)")
        return outcome

    def run(self, captures: Iterable[Capture]) -> Iterator[Answer | Missed]:
        """Send captures as credit allows and yield what becomes of each, in the order in which that is known."""
        self._clear()
        with Feed(captures, self.live, self.link.wake) as feed:
            while not feed.done or self._flying:
                capture = feed.take() if self._may_send else None
                if capture is not None:
                    self._submit(capture)
                if outcome := self._next_outcome(0.1 if capture is None else 0.0):
                    yield outcome
                yield from (Missed(index, "skipped") for index in feed.skipped())
            if feed.error:
                raise feed.error

    def _clear(self) -> None:
        """Connected, and nothing on its way: what a call that was broken off left there has no taker any more."""
        self.connect()
        while self._flying:
            self._next_outcome(0.1)

    @property
    def _may_send(self) -> bool:
        # An image counts until its outcome was seen here: it may turn out to need a further round.
        return len(self._flying) < self.link.window

    def _submit(self, capture: Capture) -> None:
        layout, seq = self.manifest.layout, self._seq
        started = time.perf_counter_ns()
        features = self.chain.encode(fit_image(capture.image, self.manifest.preprocess)[None])
        encoded = time.perf_counter_ns()
        air_start = layout.air_start(seq, 0)
        decision = self._controller.decide(air_start, time.monotonic_ns())
        symbols = self.chain.modulate(features, decision.told_snr_db)[0]
        modulated = time.perf_counter_ns()
        self._seq += 1
        self._flying[seq] = _InFlight(
            capture, symbols, decision.rate, (encoded - started) // 1000, (modulated - encoded) // 1000
        )
        try:
            self._send_round(seq, start=0)
        except BaseException:  # not sent, so nothing will come of it that `send` could wait for
            del self._flying[seq]
            raise

    def _send_round(self, seq: int, start: int) -> None:
        """Send increments start..rate of an image that is on its way."""
        layout, flying = self.manifest.layout, self._flying[seq]
        payload = self.chain.frame(flying.symbols, start, flying.rate).astype("<c8").tobytes()
        flying.uses += len(payload) // 8
        ask_below = self._ask_below if flying.rate + 1 < len(layout.increments) else 0
        air_start, captured_ns = layout.air_start(seq, flying.round), flying.capture.captured_ns
        self.link.submit(
            Frame(seq, flying.round, self.stream, air_start, start, flying.rate, captured_ns, payload, ask_below)
        )

    def _send_more(self, answered: Answered) -> bool:
        """Send the next increment if the receiver asks for it and the deadline allows another round like the last."""
        flying, result = self._flying[answered.frame.seq], answered.result
        late = self.live and answered.latency_ns + answered.round_ns > self.link.session.terms.deadline_ms * 1_000_000
        whole = flying.rate + 1 == len(self.manifest.layout.increments)
        if result.status is not Status.LOW_CONFIDENCE or late or whole:
            return False
        flying.round, flying.rate = result.round + 1, flying.rate + 1
        self._send_round(result.seq, start=flying.rate)
        return True

    def _start_over(self, seq: int) -> None:
        """The receiver was restarted between two rounds: send all increments up to here as round 0."""
        self._flying[seq].round = 0
        self._flying[seq].starts += 1
        self._send_round(seq, start=0)

    def _next_outcome(self, timeout_s: float) -> Answer | Missed | None:
        match self.link.wait_event(timeout_s):
            case Answered() as answered:
                return None if self._send_more(answered) else self._answer(answered)
            case Lost(frame, "forgotten") if self._flying[frame.seq].starts < MAX_STARTS:
                self._start_over(frame.seq)
            case Lost(frame, "forgotten"):
                return Missed(self._flying.pop(frame.seq).capture.index, "failed")
            case Lost(frame, why):
                return Missed(self._flying.pop(frame.seq).capture.index, why)
            case Failed(error):
                raise error
            case Up(accept, _):
                self.accept = accept
            case Down() | None:
                pass
        return None

    def _answer(self, answered: Answered) -> Answer:
        result, flying = answered.result, self._flying.pop(answered.frame.seq)
        index = _class_of(result.outputs.get("classify"))
        labels = self.manifest.labels
        stages = {
            "encode": flying.encode_us, "modulate": flying.modulate_us, "network": answered.network_ns // 1000,
            "queue": result.queue_us, "decode": result.decode_us,
        }  # fmt: skip
        return Answer(
            index=flying.capture.index,
            answer=index,
            name=labels[index] if 0 <= index < len(labels) else "",
            confidence=result.confidence,
            outputs=result.outputs,
            symbols=self.manifest.layout.rates[flying.rate],
            uses=flying.uses,
            snr_est_db=result.snr_inst_db,
            latency_ms=answered.latency_ns / 1e6,
            round=result.round,
            stages_us=stages,
            session=result.session.hex(),
            seq=result.seq,
        )


def _policy(given: object) -> RatePolicy:
    policy = RatePolicy() if given is None else given
    if not isinstance(policy, RatePolicy):
        policy = RatePolicy.parse(text("policy", policy))
    policy.require_reports()
    return policy


def _tasks(given: Sequence[str] | None, manifest: Manifest) -> tuple[str, ...]:
    """The names to ask for: what was given, or the class, or all where the pair knows none."""
    if given is None:
        return (CLASSIFY,) if CLASSIFY in manifest.tasks else manifest.tasks
    if isinstance(given, str) or not isinstance(given, Sequence) or not set(given) <= set(manifest.tasks):
        known = ", ".join(repr(task) for task in manifest.tasks)
        raise ConfigError(f"tasks is {safe(repr(given))} and must be a tuple of some of {known}")
    return tuple(given) or manifest.tasks


def _load_chain(manifest: Manifest, device: str) -> "TransmitChain":
    """Torch, which takes its time, is loaded only when all else is right."""
    read_half(manifest, "encoder")
    from common.pair.device import pick_device
    from sctx.pipeline import TransmitChain

    return TransmitChain(manifest, pick_device(device))


def _class_of(output: Any) -> int:
    """The class that `classify` answered with; -1 where the output, which comes from outside, names none."""
    index = output.get("index") if isinstance(output, dict) else None
    return index if type(index) is int else -1
