"""Plays a recording to a receiver: what left the channel once arrives again, without transmitter and without channel.

Knows nothing about how the symbols were impaired. On the framed link it says the recorded HELLO and sends one recorded
frame after another, each when the one before is answered; on a raw wire it sends the samples message by message.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from common.channel.record import recording_paths
from common.channel.stream import Symbols
from common.errors import ConfigError, LinkDown, PeerRejected, ProtocolError
from common.protocol.frames import MAGIC, decode, encode
from common.protocol.messages import VERSION, Accept, Bye, ByeCode, Kind, Message, Nak, Reject, Result
from common.transport.curve import secure_client
from common.transport.keystore import Keys
from common.transport.sockets import connect, make_socket, reachable


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a recording. hello and header: header bytes as they were sent, empty on a raw wire."""

    samples: Symbols
    session: bytes
    hello: bytes
    header: bytes


class Recording:
    """The messages of a SigMF recording that this emulator made."""

    def __init__(self, path: Path) -> None:
        data, meta = recording_paths(path)
        try:
            about = json.loads(meta.read_text(encoding="utf-8"))
            self._samples = np.fromfile(data, "<c8")
            if about["global"]["core:datatype"] != "cf32_le":
                raise ConfigError(f"--replay {path}: samples are not cf32_le")
            self.pieces = [self._piece(note) for note in about["annotations"] if "semlink:air_start" in note]
        except OSError as error:
            raise ConfigError(f"--replay {path}: {error.filename}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"--replay {path}: {meta.name} is no recording of this emulator: {error!r}") from None
        if not self.pieces:
            raise ConfigError(f"--replay {path}: nothing in it was recorded by this emulator")

    def _piece(self, note: dict[str, Any]) -> Piece:
        start, count = int(note["core:sample_start"]), int(note["core:sample_count"])
        if not 0 <= start < start + count <= self._samples.size:
            raise ValueError(f"samples {start} to {start + count} are not in the data")
        hello, header, session = (
            bytes.fromhex(note.get(f"semlink:{name}", "")) for name in ("hello", "header", "session")
        )
        return Piece(self._samples[start : start + count], session, hello, header)


class Player:
    """Speaks to the receiver at `upstream` as the recorded transmitters did."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        upstream: str,
        keys: Keys | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        self._upstream = upstream
        self._timeout_ms = int(timeout_s * 1e3)
        self._socket = make_socket(context, zmq.DEALER, "tx")
        self._socket.sndtimeo = self._timeout_ms
        if keys is not None:
            secure_client(self._socket, keys, upstream)
        connect(self._socket, reachable(upstream), "--upstream")

    def play(self, recording: Recording) -> Iterator[Result]:
        """Send every frame and yield what the receiver answers to it. Raises LinkDown, PeerRejected."""
        greeted: set[bytes] = set()
        for piece in recording.pieces:
            if not piece.header or not piece.hello:
                raise ConfigError("this recording has no frames: it was made on a raw wire, add --wire cf32")
            if piece.session not in greeted:
                self._send(Kind.HELLO, piece.hello, b"")
                answer = self._receive((Accept, Reject))
                if isinstance(answer, Reject):
                    raise PeerRejected(f"the receiver refused the recorded session: {answer.code.name} {answer.detail}")
                greeted.add(piece.session)
            self._send(Kind.DATA, piece.header, piece.samples.tobytes())
            answer = self._receive((Result, Nak))
            if isinstance(answer, Result):
                yield answer
        with suppress(zmq.Again):  # every frame has its answer: a receiver that has left by now needs no goodbye
            for session in greeted:
                self._socket.send_multipart(encode(Bye(session, ByeCode.DONE)))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(1000)  # the last BYE may leave

    def _send(self, kind: Kind, header: bytes, payload: bytes) -> None:
        try:
            self._socket.send_multipart([MAGIC + bytes((VERSION, kind)), header, payload])
        except zmq.Again:
            raise LinkDown(f"no receiver at {self._upstream} within {self._timeout_ms / 1e3:g} s") from None

    def _receive(self, kinds: tuple[type[Message], ...]) -> Message:
        """The next message of one of these kinds; others (PONG, late answers) are left aside."""
        while self._socket.poll(self._timeout_ms):
            try:
                message = decode(self._socket.recv_multipart()[-3:])
            except ProtocolError:
                continue
            if isinstance(message, kinds):
                return message
        raise LinkDown(f"the receiver at {self._upstream} did not answer within {self._timeout_ms / 1e3:g} s")


def play_raw(context: "zmq.Context[zmq.Socket[bytes]]", upstream: str, recording: Recording, timeout_s: float) -> int:
    """Push all samples of a recording to `upstream`, message by message; returns how many samples. Raises LinkDown."""
    socket = make_socket(context, zmq.PUSH, "emu")
    socket.sndtimeo = int(timeout_s * 1e3)
    try:
        connect(socket, upstream, "--upstream")
        for piece in recording.pieces:
            socket.send(piece.samples.tobytes())
    except zmq.Again:
        raise LinkDown(f"nobody takes samples at {upstream} within {timeout_s:g} s") from None
    finally:
        socket.close(int(timeout_s * 1e3))
    return sum(piece.samples.size for piece in recording.pieces)
