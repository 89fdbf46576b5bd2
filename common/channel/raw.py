"""Raw wire: bare complex64 samples in, bare complex64 samples out, as GNU Radio's ZeroMQ blocks send them.

Knows nothing about frames, sessions or this project's protocol.

    PULL (bound) --> [ channel, stream 0, air clock = samples so far ] --> PUSH (connected)

An address that begins with `>` is connected and one that begins with `@` is bound instead: GNU Radio's push sink always
binds and its pull source always connects.

Every message is answered with one of the same length, at once. Nothing is dropped: while nobody takes the output, no
input is read, and the sender waits.
"""

from collections import Counter, deque

import numpy as np
import zmq

from common.channel.channel import Channel
from common.channel.record import Recorder
from common.transport.sockets import bind, connect, make_socket

_BUFFER_BYTES = 1 << 20
_BURST = 32
_BATCH = 8192


class RawWire:
    """The two sockets and the channel between them. `counts`: messages, samples, and what could not be read."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        channel: Channel,
        listen: str,
        upstream: str,
        recorder: Recorder | None = None,
    ) -> None:
        self.channel = channel
        self.counts: Counter[str] = Counter()
        self._recorder = recorder
        self._clock = 0
        self._pending: deque[bytes | memoryview] = deque()
        self._in = make_socket(context, zmq.PULL, "emu")
        self._out = make_socket(context, zmq.PUSH, "emu")
        for socket in (self._in, self._out):
            socket.setsockopt(zmq.MAXMSGSIZE, -1)  # any message size
            socket.setsockopt(zmq.SNDBUF, _BUFFER_BYTES)
            socket.setsockopt(zmq.RCVBUF, _BUFFER_BYTES)
        try:
            self.address = _attach(self._in, listen if listen[:1] in "@>" else f"@{listen}", "--listen")
            _attach(self._out, upstream if upstream[:1] in "@>" else f">{upstream}", "--upstream")
        except BaseException:
            self.close()
            raise
        self.poller = zmq.Poller()
        self.poller.register(self._in, zmq.POLLIN)

    def step(self, timeout_ms: int = 200) -> None:
        """Wait for something to do, at most `timeout_ms`, and do it."""
        self.poller.poll(timeout_ms)
        for _ in range(_BURST):  # bounded, so that the caller's other duties are not forgotten
            if not (self._flush() and self._take()):
                return
        self._flush()

    def close(self) -> None:
        """Close both sockets."""
        self._in.close(0)
        self._out.close(0)

    def _flush(self) -> bool:
        """Send what is pending; False while nobody takes it. Then only room at the output ends the next wait."""
        while self._pending:
            try:
                self._out.send(self._pending[0], zmq.NOBLOCK)
            except zmq.Again:
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
        messages: list[bytes] = []
        samples = 0
        while samples < _BATCH:
            try:
                frames = self._in.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if len(frames) != 1 or len(frames[0]) % 8:
                self.counts["not_complex64"] += 1
                continue
            messages.append(frames[0])
            samples += len(frames[0]) // 8
        if not messages:
            return False
        x = np.frombuffer(messages[0] if len(messages) == 1 else b"".join(messages), "<c8")
        y = self.channel.transform(0, self._clock, x) if samples else x
        at = 0
        for message in messages:
            count = len(message) // 8
            piece = y[at : at + count]
            if self._recorder and count:
                truth = self.channel.truth(0, self._clock + at, x[at : at + count])
                if not self._recorder.samples(0, self._clock + at, piece, truth):
                    self.counts["unrecorded"] += 1
            self._pending.append(message if y is x else piece.data)
            at += count
        self._clock += samples
        self.counts["messages"] += len(messages)
        self.counts["samples"] += samples
        return True


def _attach(socket: "zmq.Socket[bytes]", address: str, flag: str) -> str:
    """Bind `@address` or connect `>address`; returns the address in full."""
    if address[0] == "@":
        return bind(socket, address[1:], flag)
    connect(socket, address[1:], flag)
    return address[1:]
