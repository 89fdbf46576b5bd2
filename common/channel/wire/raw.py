"""Raw wire: bare complex64 samples in, bare complex64 samples out, as GNU Radio's ZeroMQ blocks send them.

Knows nothing about frames, sessions or this project's protocol.

    PULL (bound) --> [ channel, stream 0, air clock = samples so far ] --> PUSH (connected)

An address that begins with `>` is connected and one that begins with `@` is bound instead: GNU Radio's push sink always
binds and its pull source always connects.

Every message is answered with one of as many samples, at once. Nothing is dropped: while nobody takes the output, no
input is read, and the sender waits. What is not samples moves no clock: the tags that GNU Radio sends along are left
out, and a message that cannot be samples is refused; both are counted, and told when it happens first.
"""

import time
from collections import Counter, deque
from collections.abc import Collection, Sequence

import numpy as np
import zmq
from numpy.typing import NDArray

from common.channel.files.recording import Recorder
from common.channel.streams.channel import Channel
from common.channel.wire.refusals import note, refuse
from common.channel.wire.tags import header_bytes
from common.errors import ProtocolError
from common.transport.claimed import Claim
from common.transport.multipart import Inbox, put
from common.transport.sockets import connect, make_socket

_BUFFER_BYTES = 1 << 20
_BURST = 32
_BATCH = 8192
_LARGEST = 1e18
_NONE = np.empty(0, np.complex64)


class RawWire:
    """The two sockets and the channel between them. hop: emulators before this one in a chain.

    counts: messages, samples, and by kind what was odd: `tagged` and `empty` messages, which pass; `several_parts`,
    `not_complex64` (no whole number of samples), `not_samples` (a value that is not finite or beyond 1e18) and
    `tag_header` (one that cannot be read), which do not.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        channel: Channel,
        listen: str,
        upstream: str,
        recorder: Recorder | None = None,
        hop: int = 0,
    ) -> None:
        self.channel = channel
        self._hop = hop
        self.counts: Counter[str] = Counter()
        self._recorder = recorder
        self.upstream = upstream.lstrip("@>")
        self.waiting_since_s: float | None = None
        """Since when samples wait that nobody takes; None: none do."""
        self._clock = 0
        self._pending: deque[bytes | memoryview] = deque()
        self._claims: list[Claim] = []
        self._in = make_socket(context, zmq.PULL, "emu")
        self._inbox = Inbox(self._in)
        self._out = make_socket(context, zmq.PUSH, "emu")
        for socket in (self._in, self._out):
            socket.setsockopt(zmq.MAXMSGSIZE, -1)  # any message size
            socket.setsockopt(zmq.SNDBUF, _BUFFER_BYTES)
            socket.setsockopt(zmq.RCVBUF, _BUFFER_BYTES)
        try:
            self.address = self._attach(self._in, listen if listen[:1] in "@>" else f"@{listen}", "--listen")
            self._attach(self._out, upstream if upstream[:1] in "@>" else f">{upstream}", "--upstream")
        except BaseException:
            self.close()
            raise
        self.poller = zmq.Poller()
        self.poller.register(self._in, zmq.POLLIN)

    def step(self, timeout_ms: int = 200) -> Collection[object]:
        """Wait for something to do, at most `timeout_ms`, and do it. Returns the sockets that were ready."""
        ready = dict(self.poller.poll(timeout_ms))
        for _ in range(_BURST):  # bounded, so that the caller's other duties are not forgotten
            if not (self._flush() and self._take()):
                return ready
        self._flush()
        return ready

    def close(self) -> None:
        """Close both sockets."""
        self._in.close(0)
        self._out.close(0)
        for claim in self._claims:
            claim.release()

    def _attach(self, socket: "zmq.Socket[bytes]", address: str, flag: str) -> str:
        """Bind `@address` or connect `>address`; returns the address in full."""
        if address[0] == "@":
            self._claims.append(Claim(address[1:], flag))
            return self._claims[-1].bind(socket)
        connect(socket, address[1:], flag)
        return address[1:]

    def _flush(self) -> bool:
        """Send what is pending; False while nobody takes it. Then only room at the output ends the next wait."""
        while self._pending:
            try:
                put(self._out, (self._pending[0],))
                self.waiting_since_s = None
            except zmq.Again:
                self.waiting_since_s = self.waiting_since_s or time.monotonic()
                if self._in in self.poller:
                    self.poller.unregister(self._in)
                    self.poller.register(self._out, zmq.POLLOUT)
                return False
            self._pending.popleft()
        if self._out in self.poller:
            self.poller.unregister(self._out)
            self.poller.register(self._in, zmq.POLLIN)
        return True

    def _take(self) -> bool:
        """Read the messages that wait, up to 8192 samples of them, and put their answers into `pending`.

        They go through the channel in one piece, which is faster and gives the same samples. False where none waits.
        """
        messages: list[bytes | memoryview] = []
        samples = 0
        for parts in self._inbox.take(_BATCH):
            try:
                message = self._samples_of(parts)
            except ProtocolError as error:
                refuse(self.counts, error)
                continue
            messages.append(message)
            samples += len(message) // 8
            if samples >= _BATCH:
                break
        if not messages:
            return False
        x = _joined(messages)
        if not _is_sound(x):  # of all together, which is quicker; then find out which
            messages = [message for message in messages if self._check(message)]
            x = _joined(messages)
            samples = x.size
        y = self.channel.transform(0, self._clock, x, hop=self._hop) if samples else x
        at = 0
        for message in messages:
            count = len(message) // 8
            piece = y[at : at + count]
            if self._recorder and count:
                truth = self.channel.truth(0, self._clock + at, x[at : at + count], hop=self._hop)
                if not self._recorder.samples(0, self._clock + at, piece, truth):
                    self.counts["unrecorded"] += 1
            self._pending.append(message if y is x else piece.data)
            at += count
        self._clock += samples
        self.counts["messages"] += len(messages)
        self.counts["samples"] += samples
        return True

    def _samples_of(self, frames: list[bytes]) -> bytes | memoryview:
        """The samples of one message. Raises ProtocolError where there are none."""
        if len(frames) != 1:
            raise ProtocolError("several_parts", f"a message of {len(frames)} parts; samples come in one")
        (message,) = frames
        begin = header_bytes(message)
        if (len(message) - begin) % 8:
            raise ProtocolError("not_complex64", f"{len(message) - begin} bytes are no whole number of complex64")
        if begin:
            note(
                self.counts,
                "tagged",
                "tags_left_out",
                "GNU Radio's Pass Tags is on; only samples go through the channel",
            )
        if len(message) == begin:
            note(self.counts, "empty", "empty_message", "a message without samples")
        return memoryview(message)[begin:] if begin else message

    def _check(self, message: bytes | memoryview) -> bool:
        if _is_sound(_joined([message])):
            return True
        told = f"{len(message)} bytes that are no samples: not finite, or beyond 1e18"
        refuse(self.counts, ProtocolError("not_samples", told))
        return False


def _joined(messages: Sequence[bytes | memoryview]) -> NDArray[np.complex64]:
    """All samples of some messages: complex64 [S]."""
    joined = messages[0] if len(messages) == 1 else b"".join(messages)
    return np.frombuffer(joined, "<c8") if len(joined) else _NONE


def _is_sound(x: NDArray[np.complex64]) -> bool:
    """False where any sample is not finite or overflows."""
    return bool(np.vdot(x, x).real < _LARGEST**2)
