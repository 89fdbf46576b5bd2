"""Many transmitters in one thread, without images or networks: the real sessions and sockets, made-up symbols.

    python fleet.py HOST:PORT --transmitters 64 --frames 30 --fps 30 [--live] [--deadline-ms 500]

prints one JSON object when every frame has its outcome. Serves the shipped digits pair; rates are dealt out in turn.
"""

import argparse
import json
import math
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import zmq

from common.errors import SemlinkError
from common.pair.manifest import Manifest, find_pair
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode
from common.protocol.messages import Message
from common.transport.endpoints import parse_peer
from common.transport.sockets import connect, make_socket
from sctx.actions import Action, Answered, Down, Failed, Frame, Lost, Send, Terms
from sctx.session import INBOUND, Session

MS = 1_000_000


@dataclass(slots=True)
class Member:
    """One transmitter: what it still has to send, and what became of what it sent."""

    session: Session
    socket: "zmq.Socket[bytes]"
    rate: int
    start_ns: int
    taken: int = 0
    waiting_ns: int | None = None
    """Capture time of the newest image of a live source that waits for credit."""
    outcomes: Counter[str] = field(default_factory=Counter)
    latency_ns: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    error: SemlinkError | None = None
    seq: int = 0


class Fleet:
    """`run` sends `frames` images per transmitter at `fps` each (None: as credit allows), until all have an outcome."""

    def __init__(
        self,
        peer: str,
        transmitters: int,
        live: bool = False,
        deadline_ms: int = 10_000,
        give_up_s: float = 60.0,
        model: Manifest | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.manifest, self._live, self._clock = model or find_pair("digits"), live, clock
        self._context, self._poller = zmq.Context(), zmq.Poller()
        layout = self.manifest.layout
        self.members: list[Member] = []
        for index in range(transmitters):
            terms = Terms(
                secrets.token_bytes(16), bytes.fromhex(self.manifest.id), "fleet", layout.slot, live, deadline_ms,
                give_up_s,
            )  # fmt: skip
            socket = make_socket(self._context, zmq.DEALER, "tx")
            connect(socket, parse_peer(peer))
            self._poller.register(socket, zmq.POLLIN)
            session = Session(terms, clock())
            self.members.append(Member(session, socket, index % len(layout.increments), clock()))
        self._by_socket = {member.socket: member for member in self.members}

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            self._do(member, member.session.close())
        self._context.destroy(linger=200)

    def connect(self, timeout_s: float = 60.0) -> int:
        """Wait until every transmitter is accepted or refused, or the time is over; how many are accepted."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not all(m.session.up or m.error for m in self.members):
            self.step()
        return sum(member.session.up for member in self.members)

    def run(self, frames: int, fps: float | None = None, each_step: Callable[[], None] = lambda: None) -> None:
        """Until each of `frames` images per transmitter is answered, lost or skipped, or its transmitter has failed."""
        for index, member in enumerate(self.members):  # a camera does not wait for the others
            member.start_ns = self._clock() + (0 if fps is None else int(1e9 / fps * index / len(self.members)))
            member.taken = 0
        while not all(m.error or (m.taken == frames and not self._open(m)) for m in self.members):
            for member in self.members:
                self._feed(member, frames, fps)
            self.step()
            each_step()

    def step(self) -> None:
        """Read what came, let the sessions look at the time, send."""
        for socket, _ in self._poller.poll(2):
            member = self._by_socket[socket]
            while True:
                try:
                    message: Message = decode(socket.recv_multipart(zmq.NOBLOCK), INBOUND)
                except zmq.Again:
                    break
                self._do(member, member.session.on_message(message, self._clock()))
        for member in self.members:
            self._do(member, member.session.tick(self._clock()))

    def summary(self) -> dict[str, object]:
        """Counts over all transmitters, and latency in ms."""
        counts = sum((member.outcomes for member in self.members), Counter())
        latency = [ns / MS for member in self.members for ns in member.latency_ns]
        percentiles = {f"p{p}_ms": round(float(np.percentile(latency, p)), 3) for p in (50, 99) if latency}
        duplicates = sum(member.session.counters.duplicates for member in self.members)
        return {"counts": dict(counts), "duplicates": duplicates, "max_ms": max(latency, default=0.0), **percentiles}

    def _open(self, member: Member) -> bool:
        return member.session.outstanding > 0 or member.waiting_ns is not None

    def _feed(self, member: Member, frames: int, fps: float | None) -> None:
        if member.error:
            return
        now = self._clock()
        due = frames if fps is None else min(frames, 1 + math.floor((now - member.start_ns) * fps / 1e9))
        room = member.session.outstanding < member.session.window
        if self._live:
            while member.taken < due:  # the newest image takes the place of one that waits
                member.outcomes["skipped"] += member.waiting_ns is not None
                member.waiting_ns = member.start_ns + int(member.taken * 1e9 / (fps or 1e9))
                member.taken += 1
            if room and member.waiting_ns is not None:
                captured, member.waiting_ns = member.waiting_ns, None
                self._submit(member, captured)
        elif room and member.taken < due:
            member.taken += 1
            self._submit(member, now)

    def _submit(self, member: Member, captured_ns: int) -> None:
        layout, seq = self.manifest.layout, member.seq
        member.seq += 1
        payload = np.ones(layout.rates[member.rate], np.complex64)
        symbols = np.concatenate((pilot_sequence(layout.pilots), payload)).astype("<c8").tobytes()
        frame = Frame(seq, 0, 0, layout.air_start(seq, 0), 0, member.rate, captured_ns, symbols)
        self._do(member, member.session.submit(frame, self._clock()))

    def _do(self, member: Member, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(message):
                    try:
                        member.socket.send_multipart(encode(message), zmq.NOBLOCK)
                    except zmq.Again:
                        member.outcomes["unsent"] += 1
                case Answered(frame, _, latency_ns, _):
                    member.outcomes["answered"] += 1
                    member.answered.append(frame.seq)
                    member.latency_ns.append(latency_ns)
                case Lost(_, why):
                    member.outcomes[why] += 1
                case Down():
                    member.outcomes["downs"] += 1
                case Failed(error):
                    member.error = error


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--transmitters", type=int, default=1)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--fps", type=float)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--deadline-ms", type=int, default=10_000)
    given = parser.parse_args()
    with Fleet(given.peer, given.transmitters, given.live, given.deadline_ms) as fleet:
        fleet.connect()
        began = time.monotonic()
        fleet.run(given.frames, given.fps)
        per_s = given.frames * given.transmitters / (time.monotonic() - began)
        print(json.dumps(fleet.summary() | {"frames_per_s": round(per_s, 1)}))


if __name__ == "__main__":
    main()
