"""Plays a recording to a receiver: what left the channel once arrives again, without transmitter and without channel.

Knows nothing about how the symbols were impaired. On the framed link it says the recorded HELLO and sends one recorded
frame after another, each when the one before is answered; on a raw wire it sends the samples message by message.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from common.channel.files.recording import recording_paths
from common.channel.streams.stream import Symbols
from common.errors import ConfigError, LinkDown, PeerRejected, ProtocolError
from common.inputs import PATH, open_regular
from common.protocol.frames import MAGIC, decode, encode
from common.protocol.messages import VERSION, Accept, Bye, ByeCode, Kind, Message, Nak, Reject, Result
from common.text import safe
from common.transport.curve import secure_client
from common.transport.endpoints import reachable
from common.transport.keystore import Keys
from common.transport.sockets import connect, make_socket

MOST_META_BYTES, MOST_DATA_BYTES = 1 << 30, 1 << 40
_Note = tuple[int, int, bytes, bytes, bytes]
"""First sample, samples, session, header of its HELLO, header."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a recording. hello and header: header bytes as they were sent, empty on a raw wire."""

    samples: Symbols
    session: bytes
    hello: bytes
    header: bytes


class Recording:
    """The messages of a SigMF recording that this emulator made. Raises ConfigError for anything else.

    It is compared with its description before anything of it is played: every sample with the hash that was noted.
    """

    def __init__(self, path: Path) -> None:
        data, meta = recording_paths(path)
        told = f"--replay {safe(path, PATH)}"
        try:
            with open_regular(meta, MOST_META_BYTES) as file:
                about = json.load(file)
            self._file = open_regular(data, MOST_DATA_BYTES)
        except ConfigError as error:
            raise ConfigError(f"{told}: {error}") from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(f"{told}: {meta.name} is no recording of this emulator: {_short(error)}") from None
        try:
            self._notes = self._read(about)
            if not self._notes:
                raise ConfigError("nothing in it was recorded by this emulator")
            self._compare(about["global"].get("core:sha512"))
        except ConfigError as error:
            self._file.close()
            raise ConfigError(f"{told}: {error}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._file.close()
            raise ConfigError(f"{told}: {meta.name} is no recording of this emulator: {_short(error)}") from None

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._notes)

    @property
    def pieces(self) -> Iterator[Piece]:
        """Message by message."""
        for start, count, session, hello, header in self._notes:
            self._file.seek(start * 8)
            yield Piece(np.frombuffer(self._file.read(count * 8), "<c8"), session, hello, header)

    def _read(self, about: Any) -> list[_Note]:
        if about["global"]["core:datatype"] != "cf32_le":
            raise ConfigError("samples are not cf32_le")
        size = os.fstat(self._file.fileno()).st_size // 8
        return [_note(note, size) for note in about["annotations"] if "semlink:air_start" in note]

    def _compare(self, expected: object) -> None:
        found = hashlib.file_digest(self._file, "sha512").hexdigest()
        if not isinstance(expected, str) or not expected:
            raise ConfigError("the description has no hash of the samples (core:sha512): they cannot be trusted")
        if expected.lower() != found:
            raise ConfigError(
                "the samples are not those that were described (core:sha512 differs): they were changed or cut short, "
                "or belong to another recording"
            )


def _note(note: dict[str, Any], size: int) -> _Note:
    start, count = note["core:sample_start"], note["core:sample_count"]
    if type(start) is not int or type(count) is not int or not 0 <= start < start + count <= size:
        raise ValueError(f"samples {start} to {start} + {count} are not in the data")
    hello, header, session = (bytes.fromhex(note.get(f"semlink:{name}", "")) for name in ("hello", "header", "session"))
    return start, count, session, hello, header


def _short(error: Exception) -> str:
    return safe(repr(error), 160)


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
        sent = 0
        for piece in recording.pieces:
            socket.send(piece.samples.tobytes())
            sent += piece.samples.size
    except zmq.Again:
        raise LinkDown(f"nobody takes samples at {upstream} within {timeout_s:g} s") from None
    finally:
        socket.close(int(timeout_s * 1e3))
    return sent
