"""Images -> frames -> outcomes, over a way to a receiver: encode, decide, send, send more. One image, one outcome.

Knows nothing about sockets, about where images come from, or about how outcomes are shown.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from common.check import real
from common.errors import SemlinkError
from common.images.photo import fit_image
from common.pair.agreement import Agreement
from common.protocol.messages import Accept, Status
from common.transport.waiting.alone import Alone
from sctx.actions import Answered, Down, Failed, Frame, Lost, Terms, Up, Way
from sctx.capture.feed import Feed, source_of
from sctx.capture.source import Capture
from sctx.chain import Encode, GivenChain
from sctx.outcomes import Answer, Missed, class_of
from sctx.parts import load_chain, sharing_of, sureness_of, terms_of
from sctx.pending import Hear
from sctx.rate.belief import Report
from sctx.rate.controller import Controller
from sctx.rate.decision import Decision
from sctx.settings import CLASSIFY, Settings

logger = logging.getLogger(__name__)
MAX_STARTS = 8
BUSY = "a run, or another call, of this transmitter is going on: read it to its end or close it, or open another one"


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(slots=True)
class _Image:
    """An image on its way, which each of its frames carries: its full ladder of symbols, and what was sent of it.

    words: how many of the ladder's symbols are the word's; None: all, or there are no words.
    """

    capture: Capture
    encoded: NDArray[Any]
    symbols: NDArray[np.complex64]
    words: int | None
    rate: int
    encode_us: int
    modulate_us: int
    round: int = 0
    uses: int = 0
    starts: int = 1


@dataclass(slots=True)
class Activity:
    """What a sender is at, for those who look. Times are of its clock in ns, 0: not now.

    encoding_ns: since when an image is being encoded; asked_ns: since when nothing that was sent has been answered;
    sent_ns: when something was sent last; decision: for the newest image; shown: the image that was answered last.
    """

    encoding_ns: int = 0
    asked_ns: int = 0
    sent_ns: int = 0
    decision: Decision | None = None
    shown: tuple[_Image, Answer] | None = None


class Sender:
    """Sends images by a pair, as settings say.

    For any thread: calls of `send` take turns. Until a `run` or a `finish` has ended, or was closed, all others raise
    ConfigError, also from inside it.

    until: looked at each 0.1 s and after each outcome; True: what waits returns. What is on its way stays so.

    open_way: terms and what listens to channel reports -> the way to the receiver. clock: monotonic ns. encoder:
    another one than the pair's; it is all that is needed where `manifest` is no pair's, but an agreement alone.
    """

    def __init__(
        self,
        manifest: Agreement,
        settings: Settings,
        stream: int,
        session: bytes,
        open_way: Callable[[Terms, Hear], Way],
        clock: Callable[[], int] = time.monotonic_ns,
        encoder: Encode | None = None,
    ) -> None:
        settings.check(manifest)
        self.manifest, self.settings, self.stream = manifest, settings, stream
        self.accept: Accept | None = None
        self.activity = Activity()
        self.beyond = None if settings.distortion is None else 0
        """Images of whose features more is missed than `distortion` allows, as far as known; None: none was given."""
        self._seq, self._clock, self._alone = 0, clock, Alone(BUSY)
        self._feed: Feed | None = None
        self._ask_below = round(100 * settings.ask_below)
        self._terms = terms_of(manifest, settings, session)
        self.chain = load_chain(manifest, settings) if encoder is None else GivenChain(manifest, encoder)
        sharing = sharing_of(self.chain, settings)
        self._controller = Controller(settings.rate_policy, manifest.layout, manifest.accuracy, sharing)
        self._sureness = sureness_of(self.chain, settings)
        self.link = open_way(self._terms, self._controller.hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye to the receiver and free what the link holds, and the source of the last run."""
        self._feed = None
        self.link.close()

    def connect(self, timeout_s: float | None = None, until: Callable[[], bool] = never) -> Accept | None:
        """Wait until the receiver accepts; its terms, or None after `timeout_s`. Raises PeerRejected, LinkDown."""
        end_s = math.inf if timeout_s is None else time.monotonic() + real("timeout_s", timeout_s, 0.0)
        while self.accept is None and time.monotonic() < end_s and not until():
            with self._alone.turn(0.1) as ours:
                if ours:
                    self._next_outcome(0.1)
        return self.accept

    @property
    def report(self) -> Report | None:
        """What the receiver said last of the channel."""
        return self._controller.report

    @property
    def correction_db(self) -> float:
        """What is added to the SNRs that are reported, for the answers say that they are wrong."""
        return self._controller.correction_db

    @property
    def in_flight(self) -> int:
        """Images on their way: each until its outcome was seen here, for it may turn out to need a further round."""
        return self.link.in_flight

    def finish(self, timeout_s: float, until: Callable[[], bool] = never) -> Iterator[Answer | Missed]:
        """What still comes of the images on their way, for at most `timeout_s`."""
        end_s = time.monotonic() + real("timeout_s", timeout_s, 0.0)
        with self._alone.begun():
            while self.in_flight and time.monotonic() < end_s and not until():
                if outcome := self._next_outcome(0.05):
                    yield outcome

    def send(self, image: NDArray[np.uint8]) -> Answer:
        """Send one image and wait for its answer. image: uint8 [H, W] or [H, W, 3], resized as the manifest says.

        Raises DataError for anything else, PeerRejected, LinkDown, SemlinkError if the receiver could not answer, and
        ConfigError while a run is going on. Other threads that send wait for their turn.
        """
        with self._alone.turn():
            self._clear()
            while not self._may_send:
                self._next_outcome(0.1)
            outcome = self._outcome_of(Capture(self._seq, image, None, self._clock()))
        if isinstance(outcome, Missed):
            raise SemlinkError(f"no answer: the image {outcome.why} (see the receiver's log)")
        return outcome

    def run(self, captures: Iterable[Capture], until: Callable[[], bool] = never) -> Iterator[Answer | Missed]:
        """Send captures as credit allows and yield what becomes of each, in the order in which that is known.

        Stopped by `until` or closed, it can go on: `finish` yields what becomes of those on their way, and a run of the
        same iterator begins with what was read ahead of it, 2 captures at most (and with those on their way, where
        nobody called `finish`). `send`, or a run of anything else, drops the outcomes that nobody asked for. Images are
        copied when they are read, so that their buffers may be filled again. Raises what the source raises, after the
        outcomes of what it gave, and ConfigError where it gives no captures.
        """
        with self._alone.begun(), self._feed_of(captures, until) as feed:
            while not feed.done or self.in_flight:
                if until():
                    return
                capture = feed.take() if self._may_send else None
                if capture is not None:
                    self._submit(capture)
                if outcome := self._next_outcome(0.1 if capture is None else 0.0):
                    yield outcome
                yield from (Missed(index, "skipped") for index in feed.skipped())
            self._feed = None
            if feed.error:
                raise feed.error

    def _feed_of(self, captures: Iterable[Capture], until: Callable[[], bool]) -> Feed:
        """What the last run left of the same iterator; of another one a new feed, with nothing else on its way."""
        source = source_of(captures)
        if self._feed is None or self._feed.source is not source:
            self._clear(until)
            self._feed = Feed(source, self.settings.live, self.link.wake)
        return self._feed

    def _clear(self, until: Callable[[], bool] = never) -> None:
        """Connected, and nothing on its way: what a call that was broken off left there has no taker any more."""
        while (self.accept is None or self.in_flight) and not until():
            self._next_outcome(0.1)

    @property
    def _may_send(self) -> bool:
        return self.in_flight < self.link.window and not self._should_wait

    @property
    def _should_wait(self) -> bool:
        """What is sent before a report has no features. Who asks for them sends one image at a time until one comes;
        a live source leaves no time for that."""
        if not self.in_flight or self.settings.live or self.settings.distortion is None:
            return False
        return self._controller.should_wait(self.manifest.layout.air_start(self._seq, 0), self._clock())

    def _outcome_of(self, capture: Capture) -> Answer | Missed:
        """Send one, alone."""
        self._submit(capture)
        while (outcome := self._next_outcome(0.1)) is None or outcome.index != capture.index:
            pass
        return outcome

    def _submit(self, capture: Capture) -> None:
        layout, seq = self.manifest.layout, self._seq
        self.activity.encoding_ns = started = self._clock()
        features = self._features(fit_image(capture.image, self.manifest.preprocess))
        encoded = self._clock()
        decision = self._decide(layout.air_start(seq, 0), encoded)
        self._look_at_features(decision)
        symbols = self.chain.modulate(features, decision.told_snr_db, decision.words)[0]
        took_us = (encoded - started) // 1000, (self._clock() - encoded) // 1000
        self.activity.encoding_ns, self.activity.decision = 0, decision
        self._seq += 1
        self._send_round(seq, _Image(capture, features, symbols, decision.words, decision.rate, *took_us), start=0)

    def _look_at_features(self, decision: Decision) -> None:
        """Count where more of the features is missed than was asked for, though no rate brings more; tell it once."""
        most = self.settings.distortion
        if most is None or self.beyond is None or decision.missed is None or 100.0 * decision.missed <= most:
            return
        self.beyond += 1
        if self.beyond == 1:
            symbols, missed = self.manifest.layout.rates[decision.rate], round(100.0 * decision.missed, 1)
            told = {"asked_percent": most, "missed_percent": missed, "symbols": symbols}
            logger.warning("distortion_not_reached", extra=told)

    def _features(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """image: uint8 [H, W, C] as the manifest says -> what the chain encodes of it, of a pair float32 [1, 2 S]."""
        return self.chain.encode(image[None])

    def _decide(self, air_start: int, now_ns: int) -> Decision:
        return self._controller.decide(air_start, now_ns)

    def _send_round(self, seq: int, image: _Image, start: int) -> None:
        """Send increments start..rate of an image."""
        layout = self.manifest.layout
        payload = self.chain.frame(image.symbols, start, image.rate).astype("<c8").tobytes()
        image.uses += len(payload) // 8
        ask_below = self._ask_below if image.rate + 1 < len(layout.increments) else 0
        air_start, captured_ns = layout.air_start(seq, image.round), image.capture.captured_ns
        self.activity.sent_ns = now = self._clock()
        self.activity.asked_ns = self.activity.asked_ns or now
        self.link.submit(
            Frame(
                seq, image.round, self.stream, air_start, start, image.rate, captured_ns, payload, ask_below,
                image.words, image,
            )
        )  # fmt: skip

    def _send_more(self, answered: Answered) -> bool:
        """Send the next increment if the receiver asks for it and the deadline allows another round like the last."""
        image, result = answered.frame.image, answered.result
        late = self.settings.live and answered.latency_ns + answered.round_ns > self._terms.deadline_ms * 1_000_000
        whole = image.rate + 1 == len(self.manifest.layout.increments)
        if result.status is not Status.LOW_CONFIDENCE or late or whole:
            return False
        image.round, image.rate = result.round + 1, image.rate + 1
        if image.words is not None:  # it is the decision that was not sure: all that follows says it
            image.words = None
            image.symbols = self.chain.modulate(image.encoded, result.snr_inst_db)[0]
        self._send_round(result.seq, image, start=image.rate)
        return True

    def _learn(self, answered: Answered) -> None:
        """What the answer to a first round says of the reports; what further rounds add came over other channels."""
        frame, result = answered.frame, answered.result
        if self._sureness is None or frame.round:
            return
        sent, (said,) = self.manifest.layout.rates[frame.rate_id], frame.image.encoded[:, 0].astype(int)
        count = sent if frame.words is None else min(frame.words, sent)
        if (chance := self._sureness.chance(said, count, result.outputs.get(CLASSIFY))) is not None:
            self._controller.learn(result, frame.air_start, chance)

    def _start_over(self, frame: Frame) -> None:
        """The receiver was restarted between two rounds: send all increments up to here as round 0."""
        image = frame.image
        image.round, image.starts = 0, image.starts + 1
        self._send_round(frame.seq, image, start=0)

    def _next_outcome(self, timeout_s: float) -> Answer | Missed | None:
        match self.link.wait_event(timeout_s):
            case Answered() as answered:
                self._learn(answered)
                return None if self._send_more(answered) else self._answer(answered)
            case Lost(frame, "forgotten") if frame.image.starts < MAX_STARTS:
                self._start_over(frame)
            case Lost(frame, why):
                return Missed(frame.image.capture.index, "failed" if why == "forgotten" else why)
            case Failed(error):
                raise error
            case Up(accept, _):
                self.accept = accept
            case Down() | None:
                pass
        return None

    def _answer(self, answered: Answered) -> Answer:
        result, image = answered.result, answered.frame.image
        index, labels = class_of(result.outputs.get(CLASSIFY)), self.manifest.labels
        stages = {
            "encode": image.encode_us, "modulate": image.modulate_us, "network": answered.network_ns // 1000,
            "queue": result.queue_us, "decode": result.decode_us,
        }  # fmt: skip
        answer = Answer(
            index=image.capture.index,
            answer=index,
            name=labels[index] if 0 <= index < len(labels) else "",
            confidence=result.confidence,
            outputs=result.outputs,
            symbols=self.manifest.layout.rates[image.rate],
            uses=image.uses,
            snr_est_db=result.snr_inst_db,
            latency_ms=answered.latency_ns / 1e6,
            round=result.round,
            stages_us=stages,
            session=result.session.hex(),
            seq=result.seq,
        )
        self.activity.asked_ns, self.activity.shown = 0, (image, answer)
        return answer
