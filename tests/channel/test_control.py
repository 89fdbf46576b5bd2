"""The control port answers, changes the channel at the sample that it names, and cannot be brought down."""

import threading
import time
from collections import Counter
from collections.abc import Iterator

import msgpack
import numpy as np
import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.control import ControlPort, ask
from common.errors import ConfigError, LinkDown


class Serving:
    def __init__(self, context: zmq.Context, framed: bool = True) -> None:
        self.channel = Channel(ChannelSpec(snr_db=20.0))
        self.port = ControlPort(context, "tcp://127.0.0.1:0", self.channel, Counter(data=3), framed)
        self._stop = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop:
            if self.port.socket.poll(20):
                self.port.serve()

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.port.close()


@pytest.fixture
def serving(context: zmq.Context) -> Iterator[Serving]:
    served = Serving(context)
    yield served
    served.close()


def test_set_acts_from_the_sample_that_it_names(serving: Serving) -> None:
    x = np.exp(1j * np.arange(100_000)).astype(np.complex64)
    serving.channel.apply(7, 1000, x[:500])
    answer = ask(serving.port.address, {"op": "set", "parameters": {"snr_db": 3.0, "doppler": 0.001}})
    assert answer["applied"] == [[7, 1500]]
    assert "SNR 3 dB" in answer["channel"]
    assert -10 * np.log10(np.mean(np.abs(serving.channel.apply(7, 1400, x[:100])[0] - x[:100]) ** 2)) > 15
    noise = serving.channel.apply(7, 1500, x)[0] - x
    assert -10 * np.log10(np.mean(np.abs(noise) ** 2)) == pytest.approx(3.0, abs=0.05)


def test_set_is_acknowledged_at_once(serving: Serving) -> None:
    times = []
    for snr in range(9):
        begun = time.perf_counter()
        ask(serving.port.address, {"op": "set", "parameters": {"snr_db": float(snr)}})
        times.append(time.perf_counter() - begun)
    assert sorted(times)[4] < 0.5  # a bound for any machine; the measured value is in the document


def test_status_tells_streams_and_counts(serving: Serving) -> None:
    serving.channel.apply(2, 0, np.ones(10, np.complex64))
    answer = ask(serving.port.address, {"op": "status"})
    assert answer["streams"] == [[2, 10]]
    assert answer["counts"] == {"data": 3}
    assert answer["uptime_s"] >= 0
    assert answer["channel"] == "SNR 20 dB, fading none"


def test_asking_about_any_number_of_streams_costs_none_that_was_sent_its_place() -> None:
    channel, x = Channel(ChannelSpec(snr_db=8.0)), np.ones(10, np.complex64)
    channel.apply(7, 0, x)
    for stream in range(100, 400):
        channel.truth(stream, 0, x)
    assert {stream: end for (_, stream, _), end in channel.tracks} == {7: 10}


def test_a_flood_of_requests_is_answered_in_bursts(context: zmq.Context) -> None:
    looks = []  # one at the clock when the port opens, one for each status

    def clock() -> float:
        looks.append(1)
        return 0.0

    port = ControlPort(context, "tcp://127.0.0.1:0", Channel(ChannelSpec()), Counter(), True, clock)
    client = context.socket(zmq.DEALER)
    client.linger = 0
    client.connect(port.address)
    for _ in range(12):
        client.send(msgpack.packb({"op": "status"}))
    bursts = []
    while sum(bursts) < 12 and port.socket.poll(5000):
        before = len(looks)
        port.serve()
        bursts.append(len(looks) - before)
    client.close()
    port.close()
    assert sum(bursts) == 12
    assert max(bursts) <= 8


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"op": "set", "parameters": {"snr_db": "loud"}}, "not a float"),
        ({"op": "set", "parameters": {"snr_db": float("nan")}}, "outside"),
        ({"op": "set", "parameters": {"colour": 1}}, "no channel parameter"),
        ({"op": "set", "parameters": {}}, "needs parameters"),
        ({"op": "set", "parameters": {"seed": 1}}, "seed"),
        ({"op": "set", "parameters": {"cfo": 0.1}}, "raw wire only"),
        ({"op": "set", "parameters": {"fading": "tdl-a", "rate": 1e6}}, "raw wire only"),
        ({"op": "set", "parameters": {"fading": "tdl-a"}}, "raw wire only"),
        ({"op": "set", "parameters": {"cfo": 7.0}}, "raw wire only"),
        ({"op": "dance"}, "neither set nor status"),
    ],
)
def test_wrong_requests_are_refused_and_change_nothing(serving: Serving, request_: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ask(serving.port.address, request_)
    assert serving.channel.spec == ChannelSpec(snr_db=20.0)


def test_garbage_is_answered_and_the_port_lives_on(serving: Serving, context: zmq.Context) -> None:
    client = context.socket(zmq.DEALER)
    client.linger = 0
    client.connect(serving.port.address)
    for body in (b"", b"\xc1", b"x" * 20_000, msgpack.packb([1]), msgpack.packb({b"op": 1})):
        client.send(body)
        assert client.poll(5000)
        assert msgpack.unpackb(client.recv())["ok"] is False
    client.close()
    assert ask(serving.port.address, {"op": "status"})["ok"]


def test_nobody_there_is_one_clear_error() -> None:
    with pytest.raises(LinkDown, match="no emulator answers"):
        ask("tcp://127.0.0.1:1", {"op": "status"}, timeout_s=0.3)
