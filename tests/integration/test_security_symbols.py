"""Symbols that break the contract are refused: at the transmitter, at the emulator's input, at the receiver."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq

import scrx
import sctx
from common.errors import ModelError
from common.pair.manifest import find_pair
from common.phy.layout import pilot_sequence
from common.protocol.frames import decode, encode
from common.protocol.messages import VERSION, Data, Hello, Kind, Message, Nak, NakCode
from common.transport.sockets import connect, make_socket
from sctx.pipeline import TransmitChain
from training.lab.processes import Command

BARE = str(Path(__file__).with_name("bare_receiver.py"))
SESSION = b"symbols and more"


class Sender:
    """A session that sends whatever it is told to."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", port: int) -> None:
        self.layout, self._seq = find_pair("digits").layout, 0
        self.good = np.concatenate((pilot_sequence(self.layout.pilots), np.ones(self.layout.increments[0])))
        self.socket = make_socket(context, zmq.DEALER, "tx")
        connect(self.socket, f"tcp://127.0.0.1:{port}")
        hello = Hello(SESSION, VERSION, VERSION, "", bytes.fromhex(find_pair("digits").id), (0,), (), 0)
        while not self.socket.poll(200):
            self.socket.send_multipart(encode(hello))
        while self.socket.poll(200):
            self.socket.recv_multipart()

    def send(self, symbols: np.ndarray) -> None:
        valid = self.good.astype("<c8").tobytes()
        head = (SESSION, self._seq, 0, self._seq * self.layout.slot, 0, 0, 0, 0, len(symbols), 0, 60_000, 0)
        self._seq += 1
        body = encode(Data(*head, valid))
        self.socket.send_multipart([*body[:2], symbols.astype("<c8").tobytes()])

    def answer(self, kinds: set[Kind]) -> Message:
        while self.socket.poll(30_000):
            message = decode(self.socket.recv_multipart())
            if message.KIND in kinds:
                return message
        pytest.fail("nothing came")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1000.0])
def test_a_receiver_counts_what_is_no_symbol_and_answers_the_next_frame(
    context: "zmq.Context[zmq.Socket[bytes]]", start: Callable[..., Command], bad: float
) -> None:
    sender = Sender(context, start("python", BARE, "0").port())
    with np.errstate(invalid="ignore"):
        sender.send(sender.good * np.where(np.arange(sender.good.size) == 3, bad, 1.0))
    sender.send(sender.good)
    result = sender.answer({Kind.RESULT})
    assert (result.KIND, getattr(result, "seq", None)) == (Kind.RESULT, 1)  # frame 0 was never answered
    sender.socket.close(0)


@pytest.mark.parametrize("scale", [1.5, 900.0, np.nan, np.inf])
def test_an_emulator_refuses_power_that_would_beat_the_channel_and_says_so(
    context: "zmq.Context[zmq.Socket[bytes]]", start: Callable[..., Command], scale: float
) -> None:
    upstream = start("python", BARE, "0").port()
    emulator = start("channel-emu", "--listen", "0", "--control", "0", "--upstream", f"127.0.0.1:{upstream}")
    sender = Sender(context, emulator.port())
    with np.errstate(invalid="ignore"):
        sender.send(scale * sender.good)
    assert sender.answer({Kind.NAK, Kind.RESULT}) == Nak(SESSION, 0, 0, NakCode.BAD_SYMBOLS)
    sender.send(sender.good)
    assert getattr(sender.answer({Kind.NAK, Kind.RESULT}), "seq", None) == 1
    sender.socket.close(0)
    assert emulator.stop() == 0
    assert "power 1" in emulator.said


@pytest.mark.parametrize("scale", [1.1, 30.0, 0.5, np.nan])
def test_a_transmitter_does_not_send_symbols_that_break_the_power_constraint(
    tiny_pair: Path, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:

    modulate = TransmitChain.modulate
    monkeypatch.setattr(TransmitChain, "modulate", lambda self, *given: scale * modulate(self, *given))
    with scrx.Receiver("0", tiny_pair) as rx, sctx.Transmitter(rx.address.removeprefix("tcp://"), tiny_pair) as tx:
        with pytest.raises(ModelError, match=r"pair tiny: symbols of mean power \S+ instead of 1 were not sent"):
            tx.send(np.zeros((8, 8), np.uint8))
        assert tx.link.session.counters.sends == 0
