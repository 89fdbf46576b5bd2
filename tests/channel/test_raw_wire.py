"""The raw wire: same samples as the kernel, any message size, nothing lost while nobody listens."""

import re
from pathlib import Path

import numpy as np
import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.control import ask
from common.channel.wire.raw import RawWire
from tests.warm import Stem


def unit(n: int) -> np.ndarray:
    return np.exp(0.1j * np.arange(n)).astype(np.complex64)


def test_output_is_the_kernels_whatever_the_message_sizes(context: zmq.Context) -> None:
    sink, source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    sink.bind("tcp://127.0.0.1:0")
    spec = ChannelSpec(snr_db=10.0, fading="rayleigh", doppler=1e-3)
    wire = RawWire(context, Channel(spec), "tcp://127.0.0.1:0", sink.getsockopt_string(zmq.LAST_ENDPOINT))
    source.connect(wire.address)
    x, got, at = unit(300_000), [], 0
    sizes = [1, 64, 0, 4096, 17, 200_000, 95_822]
    for size in sizes:
        source.send(x[at : at + size].tobytes())
        at += size
        while not sink.poll(0):
            wire.step(10)
        got.append(np.frombuffer(sink.recv(), np.complex64))
        assert got[-1].size == size
    np.testing.assert_array_equal(np.concatenate(got), Channel(spec).transform(0, 0, x))
    source.send(b"12345")
    source.send_multipart([x[:4].tobytes(), x[:4].tobytes()])
    while not (wire.counts["not_complex64"] and wire.counts["several_parts"]):
        wire.step(10)
    for socket in (sink, source, wire):
        socket.close()


def test_it_blocks_rather_than_drops(context: zmq.Context, tmp_path: Path) -> None:
    source = context.socket(zmq.PUSH)
    later = f"ipc://{tmp_path}/later"
    wire = RawWire(context, Channel(ChannelSpec(snr_db=float("inf"))), f"ipc://{tmp_path}/in", later)
    source.connect(wire.address)
    for i in range(200):
        source.send(np.full(100, i, np.complex64).tobytes())
    for _ in range(5):
        wire.step(10)
    assert wire.counts["messages"] <= 82  # one piece of the channel, 8192 samples, waits for the output
    sink = context.socket(zmq.PULL)
    sink.bind(later)
    seen = []
    while len(seen) < 200:
        wire.step(10)
        while sink.poll(0):
            seen.append(np.frombuffer(sink.recv(), np.complex64)[0].real)
    assert seen == list(range(200))
    for socket in (sink, source, wire):
        socket.close()


@pytest.mark.parametrize("flags", [["--snr", "5", "--fading", "rayleigh"], ["--fading", "tdl-a", "--rate", "10e6"]])
def test_the_running_process_gives_the_kernels_samples(context: zmq.Context, stem: Stem, flags: list[str]) -> None:
    sink, source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    source.linger = sink.linger = 0
    sink.bind("tcp://127.0.0.1:0")
    upstream = sink.getsockopt_string(zmq.LAST_ENDPOINT)
    words = ["--wire", "cf32", "--listen", "tcp://127.0.0.1:0", "--upstream", upstream, "--control", "0", *flags]
    process = stem.start("channel-emu", *words)
    first = process.stderr.readline()
    listening = re.search(r"listening on (\S+), forwarding to \S+, control on (\S+)", first)
    assert listening, first
    source.connect(listening[1])
    x = unit(60_000)
    source.send(x[:20_000].tobytes())
    assert sink.poll(20_000)
    first_part = np.frombuffer(sink.recv(), np.complex64)
    applied = ask(listening[2], {"op": "set", "parameters": {"snr_db": 20.0}})["applied"]
    assert applied == [[0, 20_000]]
    source.send(x[20_000:].tobytes())
    assert sink.poll(20_000)
    second_part = np.frombuffer(sink.recv(), np.complex64)
    process.terminate()
    _, rest = process.communicate(timeout=60)
    source.close()
    sink.close()
    assert process.returncode == 0, rest
    assert "samples 60000" in rest
    expected = Channel(
        ChannelSpec(snr_db=5.0, fading="rayleigh") if "rayleigh" in flags else ChannelSpec(fading="tdl-a", rate=10e6)
    )
    np.testing.assert_allclose(first_part, expected.transform(0, 0, x[:20_000]), atol=1e-4)
    expected.change({"snr_db": 20.0})
    np.testing.assert_allclose(second_part, expected.transform(0, 20_000, x[20_000:]), atol=1e-4)
