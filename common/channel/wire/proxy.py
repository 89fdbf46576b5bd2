"""The emulator between transmitters and receiver: forwards every frame verbatim and changes only the payload of DATA.

Knows nothing about sessions, models or what the symbols mean, and keeps no message of its own but an occasional NAK.

    transmitters -- ROUTER (bound) --> [ DATA payload through the channel ] --> DEALER (connected) -- receiver
                 <------- everything verbatim; where asked for, the report in RESULT through `Feedback` <------
"""

import logging
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

import numpy as np
import zmq

from common.channel.files.recording import Recorder
from common.channel.files.truth import TruthLog
from common.channel.models.noise import Use, hop_seed
from common.channel.spec.ways import FeedbackSpec, TransitSpec
from common.channel.streams.channel import Channel
from common.channel.streams.stream import Symbols
from common.channel.wire.aliases import Aliases
from common.channel.wire.impaired_reports import Feedback
from common.channel.wire.refusals import Refusals, refuse
from common.channel.wire.transit import Fate, OnTheWay
from common.errors import PeerRejected, ProtocolError
from common.protocol.frames import (
    BODY_FRAMES,
    MAGIC,
    MAX_AMPLITUDE,
    MAX_ENVELOPE,
    DataHead,
    asks_who,
    peek_data,
    peek_result,
    put_result,
    split,
)
from common.protocol.messages import VERSION, Kind
from common.transport.dialer import Dialer
from common.transport.keystore import Keys
from common.transport.listener import Listener
from common.transport.multipart import Inbox, put
from common.transport.waiting.turns import TICK_MS
from common.transport.waiting.watch import Watch

logger = logging.getLogger(__name__)

MAX_POWER = 2.0
"""Mean |x|^2 of a frame above which it breaks the power contract (the contract is 1). Later hops see noise as well."""

MAX_AIR_SAMPLE = 1 << 53
"""Air samples beyond cannot be counted exactly in float64; no run gets there."""

_DATA = MAGIC + bytes((VERSION, Kind.DATA))
_DATA_KIND, _HELLO_KIND = int(Kind.DATA), int(Kind.HELLO)
_RESULT = MAGIC + bytes((VERSION, Kind.RESULT))
_KEPT = 4096
_OVERHEAD_BYTES = 128
"""What keeping a part takes beside its bytes."""
_AT_ONCE = TransitSpec()
_BURST, _BURST_S = 64, 0.005
AWAY_S, AWAY_AGAIN_S = 10.0, 60.0
"""How long the receiver may be away before that is told, and how often."""

Parts = list[bytes]


class Proxy:
    """The two sockets and what passes between them. `listen` and `upstream` are ZeroMQ addresses.

    transit: what happens to messages on the way to the receiver; back: to those on the way back (drop and jitter act on
    DATA and RESULT); feedback: to the channel reports in RESULT. keys: both sides are encrypted.
    `counts`: messages by what became of them: data, passed, returned, lost, answers_lost, and one per reason to drop.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        channel: Channel,
        listen: str,
        upstream: str,
        transit: TransitSpec | None = None,
        truth: TruthLog | None = None,
        recorder: Recorder | None = None,
        back: TransitSpec | None = None,
        feedback: FeedbackSpec | None = None,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        channel.spec.require_flat()
        self.channel = channel
        self.counts: Counter[str] = Counter()
        self._transit = transit or TransitSpec()
        self._truth = truth
        self._recorder = recorder
        self._clock = clock
        self._back_spec = back or TransitSpec()
        feedback = feedback or FeedbackSpec()
        self._feedback = None if feedback.clean else Feedback(feedback, channel.spec.seed)
        self._fateful = self._transit != _AT_ONCE
        self._feedback_or_fate = self._feedback is not None or self._back_spec != _AT_ONCE
        self._aliases = Aliases()
        self._streams: dict[bytes, int] = {}
        self._fates: OrderedDict[tuple[Use, int, int], Fate] = OrderedDict()
        self._refusals = Refusals(clock)
        self._on_the_way: OnTheWay[Parts] = OnTheWay()
        self._on_the_way_back: OnTheWay[Parts] = OnTheWay()
        self._served_s = -math.inf
        self._tell_away_s = clock() + AWAY_S
        self._waiting: Parts | None = None
        self.waiting_since_s: float | None = None
        """Since when a message waits that the receiver does not take; None: none does."""
        self.newest: tuple[DataHead, int, bytes] | None = None
        """Head, hop and payload of the newest frame that came in."""
        self.upstream = upstream
        self._listener = Listener(context, "emu", listen, keys)
        try:
            self._dialer = Dialer(context, "emu", upstream, keys, "--upstream")
        except BaseException:
            self._listener.close()
            raise
        self.address = self._listener.address
        self.poller = Watch(context)
        self._listener.watch(self.poller)
        self._dialer.watch(self.poller)

    def step(self, timeout_ms: int = TICK_MS) -> Collection[object]:
        """Wait for something to do, at most `timeout_ms`, and do it. Returns the sockets that were ready.

        Raises PeerRejected if the receiver refuses us.
        """
        for way in (self._on_the_way, self._on_the_way_back):
            wait_s = way.wait_s(self._clock()) if way else None
            if wait_s is not None:
                timeout_ms = min(timeout_ms, int(wait_s * 1e3 + 0.999))
        if self._waiting is not None:
            timeout_ms = min(timeout_ms, 1)
        ready = self.poller.wait(timeout_ms)
        if self._waiting is not None:
            parts, self._waiting = self._waiting, None
            self._pass(parts)
        heard, answered = self._listener.socket in ready, self._dialer.socket in ready
        if heard and self._waiting is None:
            self._drain(self._listener.inbox, self._forward)
        if answered:
            self._drain(self._dialer.inbox, self._return)
        for parts in self._on_the_way.due(self._clock()) if self._on_the_way else ():
            self._send(self._dialer.socket, parts, "passed", "upstream_away")
        for parts in self._on_the_way_back.due(self._clock()) if self._on_the_way_back else ():
            self._send(self._listener.socket, parts, "returned", "transmitter_away")
        if len(ready) > heard + answered or self._clock() - self._served_s >= TICK_MS / 1e3:
            self._served_s = self._clock()
            self._listener.serve(ready)
            self._watch_connection()
        return ready

    @property
    def connected(self) -> bool:
        """Whether the receiver is. For any thread."""
        return self._dialer.connected

    def close(self) -> None:
        """Close both sockets."""
        self._listener.close()
        self._dialer.close()

    def _watch_connection(self) -> None:
        self._dialer.serve()
        if self._dialer.refusal:
            raise PeerRejected(f"--upstream {self.upstream} refused the connection: {self._dialer.refusal}")
        if self._dialer.connected:
            self._tell_away_s = self._clock() + AWAY_S
        elif self._clock() >= self._tell_away_s:
            self._tell_away_s = self._clock() + AWAY_AGAIN_S
            away = {"upstream": self.upstream, "why": self._dialer.found}
            logger.warning("upstream_away", extra=away)

    def _drain(self, inbox: Inbox, handle: Callable[[Parts], None]) -> None:
        until_s = self._clock() + _BURST_S
        for parts in inbox.take(_BURST):  # bounded, so that one direction cannot starve the other
            handle(parts)
            if self._waiting is not None or self._clock() > until_s:  # messages of many parts take long to read
                return

    def _return(self, parts: Parts) -> None:
        delay_s = self._back_spec.delay_ms / 1e3
        parts[0] = self._aliases.inward(parts[0])
        if len(parts) >= 3 and parts[-3] == _RESULT and self._feedback_or_fate:
            try:
                head = peek_result(parts[-2])
            except ProtocolError as error:
                refuse(self.counts, error)
                return
            stream, hop = self._streams.get(head.session, 0), max(len(parts) - BODY_FRAMES - 1, 0)
            fate = self._fate(stream, hop, self._back_spec, Use.RETURN)
            if fate.lost():
                self.counts["answers_lost"] += 1
                return
            if self._feedback:
                parts = [*parts[:-2], put_result(self._feedback.carry(stream, head, hop), parts[-2]), parts[-1]]
            delay_s += fate.jitter_s()
        if delay_s:
            self._hold(self._on_the_way_back, parts, delay_s)
        else:
            self._send(self._listener.socket, parts, "returned", "transmitter_away")

    def _forward(self, parts: Parts) -> None:
        try:
            envelope, body = split(parts)
            if not envelope:
                raise ProtocolError("part_count", f"{len(parts) - 1} parts after the identity")
            if len(body[0]) != 4 or body[0][:2] != MAGIC:
                raise ProtocolError("bad_prefix", "not a message of this protocol")
        except ProtocolError as error:
            if len(parts) > MAX_ENVELOPE + BODY_FRAMES:
                error = ProtocolError(error.reason, f"{error}: do emulators forward to each other in a circle?")
            refuse(self.counts, error)
            return
        delay_s = self._transit.delay_ms / 1e3
        if body[0][3] == _DATA_KIND:
            try:
                hop = max(len(envelope) - 1, 0)
                head = self._read_head(body)
                self._note(head)
                if self._fateful:
                    fate = self._fate(head.stream, hop, self._transit, Use.TRANSIT)
                    if fate.lost():
                        self.counts["lost"] += 1
                        return
                    delay_s += fate.jitter_s()
                parts[-1] = self._impair(head, hop, body[1], body[2])
            except ProtocolError as error:
                if not asks_who(body[1], body[2]):  # who asks that is no transmitter with an error
                    refuse(self.counts, error)
                self._tell(envelope, body[1], error)
                return
            self.counts["data"] += 1
        elif self._recorder and body[0][3] == _HELLO_KIND:
            self._recorder.hello(body)
        parts[0] = self._aliases.outward(parts[0])
        if delay_s:
            self._hold(self._on_the_way, parts, delay_s)
        else:
            self._pass(parts)

    def _read_head(self, body: Sequence[bytes]) -> DataHead:
        if body[0] != _DATA:
            raise ProtocolError("version", f"DATA of version {body[0][2:3].hex()}, this emulator speaks {VERSION}")
        head = peek_data(body[1])
        if head.air_start > MAX_AIR_SAMPLE:
            raise ProtocolError("air_start", f"{head.air_start} is beyond 2^53")
        if not body[2] or len(body[2]) % 8:
            raise ProtocolError("payload_size", f"{len(body[2])} bytes are no complex64 symbols")
        return head

    def _impair(self, head: DataHead, hop: int, header: bytes, payload: bytes) -> bytes:
        x = np.frombuffer(payload, "<c8")
        check_power(x, hop)
        self.newest = head, hop, payload
        y = self.channel.transform(head.stream, head.air_start, x, head.round, hop, head.session)
        if self._truth or self._recorder:
            truth = self.channel.truth(head.stream, head.air_start, x, head.round, hop, head.session)
            if self._truth and not self._truth.write(head, truth, hop):
                self.counts["truth_missed"] += 1
            if self._recorder and not self._recorder.frame(head, header, y, truth):
                self.counts["unrecorded"] += 1
        return payload if y is x else y.tobytes()

    def _note(self, head: DataHead) -> None:
        """Remember a session's stream: a RESULT does not name it."""
        self._streams.pop(head.session, None)
        self._streams[head.session] = head.stream
        if len(self._streams) > _KEPT:
            del self._streams[next(iter(self._streams))]

    def _fate(self, stream: int, hop: int, spec: TransitSpec, use: Use) -> Fate:
        key = use, stream, hop
        if key not in self._fates:
            self._fates[key] = Fate(spec, hop_seed(self.channel.spec.seed, hop), stream, use)
            if len(self._fates) > _KEPT:
                self._fates.popitem(last=False)
        self._fates.move_to_end(key)
        return self._fates[key]

    def _tell(self, envelope: Parts, header: bytes, error: ProtocolError) -> None:
        """Answer a frame that was refused, if its header can be read."""
        with suppress(ProtocolError):
            if (nak := self._refusals.answer(peek_data(header), error)) is not None:
                self._send(self._listener.socket, [*envelope, *nak], "nak", "transmitter_away")

    def _hold(self, way: OnTheWay[Parts], parts: Parts, delay_s: float) -> None:
        if not way.put(parts, self._clock() + delay_s, sum(map(len, parts)) + _OVERHEAD_BYTES * len(parts)):
            self.counts["too_much_on_the_way"] += 1

    def _pass(self, parts: Parts) -> None:
        """Forward, or keep it and read no more until there is room. A receiver that is away is not waited for.

        The listener gives each connection its turn; dropping here would let a flood push out what others send.
        """
        try:
            put(self._dialer.socket, parts)
            self.poller.give_way()
            self.counts["passed"] += 1
            self.waiting_since_s = None
        except zmq.Again:
            self._watch_connection()
            if self._dialer.connected:
                self._waiting = parts
                self.waiting_since_s = self.waiting_since_s or self._clock()
                self._dialer.socket.poll(1, zmq.POLLOUT)
            else:
                self.waiting_since_s = None
                self.counts["upstream_away"] += 1

    def _send(self, socket: "zmq.Socket[bytes]", parts: Parts, sent: str, away: str) -> None:
        try:
            put(socket, parts)
            self.poller.give_way()
            self.counts[sent] += 1
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            self.counts[away] += 1


def check_power(x: Symbols, hop: int) -> None:
    """Refuse a frame that breaks the power contract, or after the first hop what no receiver would take either."""
    energy = float(np.vdot(x, x).real)
    if not hop:
        if not energy / x.size <= MAX_POWER:  # not a number or infinite as well
            raise ProtocolError("power", f"mean power {energy / x.size:g} instead of 1")
    elif not energy < MAX_AMPLITUDE**2 and not bool((np.abs(x.view(np.float32)) < MAX_AMPLITUDE).all()):
        raise ProtocolError("bad_symbols", f"a symbol has a part that is not finite or not below {MAX_AMPLITUDE:g}")
