"""Transmitter, channel and receiver in one process, one after the other: no sockets, no ports, no threads, no clock.

For tests of code that uses either half. The sessions, the bytes of the messages, both chains and the channel are those
of the three processes with one frame in flight (`sctx --window 1`), and so are the decisions. Time stands still:
nothing expires, nothing is sent twice, latencies are 0, and equal calls give equal answers.

    with Loopback("digits", ChannelSpec(snr_db=5, fading="rayleigh")) as link:
        answer = link.send(image)                # an sctx.Answer
        (seen,) = link.answers()                 # what an scrx.Receiver would have shown of it

Knows nothing about where images come from or what answers are used for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

import scrx.settings
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.channel.streams.channel import Channel
from common.channel.wire.impaired_reports import Feedback
from common.check import made_by
from common.errors import SemlinkError
from common.pair.manifest import Manifest, find_pair
from common.protocol.frames import decode, encode, peek_result, put_result
from common.protocol.messages import Data, Message, Result
from scrx.answers import ReceivedAnswer
from scrx.feedback import answer
from scrx.pipeline import ReceiveChain
from scrx.receiver import offered, received
from scrx.sessions.table import INBOUND as TO_RECEIVER
from scrx.sessions.table import Reply, SessionTable, Work
from sctx.actions import Action, Answered, Failed, Frame, Lost, Send, Terms
from sctx.capture.feed import kept, source_of
from sctx.capture.source import Capture
from sctx.outcomes import Answer, Missed
from sctx.pending import Hear
from sctx.sender import Sender, never
from sctx.session import INBOUND as TO_TRANSMITTER
from sctx.session import Session
from sctx.settings import Settings

NOW_NS = 0
ROUTE = (b"transmitter", b"emulator")
"""As it is where an emulator stands between the two."""
SESSION = bytes(16)


class Loopback(Sender):
    """`send` and `run` as of `sctx.Transmitter`, `answers` as of `scrx.Receiver`.

    model: a shipped pair's name, a directory, or a manifest that was read. channel: see `ChannelSpec` (default: its
    10 dB without fading). settings: how to send; `stream` is 0 where it says none, and what is about hosts and waiting
    means nothing here. feedback: what happens to channel reports on their way back. Raises ConfigError, ModelError.
    """

    link: "_Path"

    def __init__(
        self,
        model: str | Path | Manifest = "digits",
        channel: ChannelSpec | None = None,
        settings: Settings | None = None,
        feedback: FeedbackSpec | None = None,
    ) -> None:
        settings = made_by("settings", settings, Settings)
        channel, feedback = made_by("channel", channel, ChannelSpec), made_by("feedback", feedback, FeedbackSpec)
        channel.require_flat()
        manifest = model if isinstance(model, Manifest) else find_pair(model)
        stream = settings.stream or 0

        def open_path(terms: Terms, hear: Hear) -> _Path:
            air = _Air(Channel(channel), Feedback(feedback, channel.seed), stream)
            return _Path(manifest, settings, terms, hear, air)

        super().__init__(manifest, settings, stream, SESSION, open_path, clock=lambda: NOW_NS)

    def run(self, captures: Iterable[Capture], until: Callable[[], bool] = never) -> Iterator[Answer | Missed]:
        """Send captures one after the other and yield what becomes of each."""
        with self._alone.begun():
            self._clear(until)
            for capture in source_of(captures):
                if until():
                    return
                yield self._outcome_of(replace(kept(capture), captured_ns=NOW_NS))

    def answers(self) -> Iterator[ReceivedAnswer]:
        """What the receiver answered since this was asked last, every round of an image; then it ends."""
        while self.link.answers:
            yield self.link.answers.popleft()


class _Air:
    """What lies between the two: the channel on the way there, the reports' fate on the way back."""

    def __init__(self, channel: Channel, feedback: Feedback, stream: int) -> None:
        self._channel, self._feedback, self._stream = channel, feedback, stream

    def there(self, message: Message) -> Message:
        """A message as it reaches the receiver."""
        if isinstance(message, Data):
            sent = message.symbols
            y = self._channel.transform(self._stream, message.air_start, sent, message.round, 0, message.session)
            message = replace(message, payload=np.asarray(y, "<c8").tobytes())
        return decode(encode(message), TO_RECEIVER)

    def back(self, message: Message) -> Message:
        """A message as it reaches the transmitter."""
        prefix, header, payload = encode(message)
        if isinstance(message, Result):
            header = put_result(self._feedback.carry(self._stream, peek_result(header)), header)
        return decode([prefix, header, payload], TO_TRANSMITTER)


class _Path:
    """A `sctx.actions.Way` whose other end is here: each frame is answered before `submit` returns."""

    def __init__(self, manifest: Manifest, settings: Settings, terms: Terms, hear: Hear, air: _Air) -> None:
        self.session = Session(terms, NOW_NS, hear)
        self.in_flight, self._closed = 0, False
        self.answers: deque[ReceivedAnswer] = deque()
        self.overhear: Callable[[Message], object] = lambda message: None
        """Told every message that the transmitter sends, before the channel is."""
        self._air = air
        self._table = SessionTable(offered(manifest, scrx.settings.Settings(window=1)))
        self._chain = ReceiveChain(manifest)
        self._events: deque[Action] = deque()
        self._take(self.session.tick(NOW_NS))

    @property
    def window(self) -> int:
        return self.session.window

    def submit(self, frame: Frame) -> None:
        if not self._closed:
            self._take(self.session.submit(frame, NOW_NS))
            self.in_flight += 1

    def wait_event(self, timeout_s: float) -> Action | None:
        """Whoever waits here for what is not there already would wait for ever."""
        if not self._events:
            return Failed(SemlinkError(f"this loopback {'was closed; open another' if self._closed else 'is idle'}"))
        event = self._events.popleft()
        self.in_flight -= isinstance(event, Answered | Lost)
        return event

    def wake(self) -> None:
        """Nobody waits here."""

    def close(self) -> None:
        self._closed = True
        self._take(self.session.close())

    def _take(self, actions: Iterable[Action]) -> None:
        """Carry out what the transmitter's session asks for."""
        for action in actions:
            if isinstance(action, Send):
                self.overhear(action.message)
                self._hear(self._air.there(action.message))
            else:
                self._events.append(action)

    def _hear(self, message: Message) -> None:
        """The receiver takes a message; what it replies is heard at once."""
        for action in self._table.on_message(message, ROUTE, NOW_NS):
            replies = self._table.on_result(self._decoded(action)) if isinstance(action, Work) else [action]
            for reply in replies:
                if isinstance(reply, Reply):
                    self._take(self.session.on_message(self._air.back(reply.message), NOW_NS))

    def _decoded(self, work: Work) -> Result:
        (decoded,) = self._chain.receive([received(work)])
        result = answer(work, decoded.outputs, decoded.estimate, 0, 0, 1, self._chain.attainable)
        self.answers.append(ReceivedAnswer.of(result))
        return result
