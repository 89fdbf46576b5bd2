"""The proxy forwards everything verbatim both ways and changes only the payload of DATA."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq

from common.channel.files.recording import Recorder
from common.channel.files.truth import TruthLog
from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec, TransitSpec
from common.channel.streams.channel import Channel
from common.channel.wire import proxy
from common.channel.wire.proxy import AWAY_AGAIN_S, AWAY_S, Proxy
from common.channel.wire.transit import OnTheWay
from common.protocol.frames import ask_who, decode, encode
from common.protocol.messages import Kind, Nak, NakCode
from common.transport.multipart import put

SESSION = bytes(range(16))


def data(seq: int, payload: bytes, stream: int = 5, air_start: int | None = None, round_: int = 0) -> list[bytes]:
    fields = [SESSION, seq, stream, 128 * seq if air_start is None else air_start, round_, 0, 0, 0, len(payload) // 8]
    return [b"SC\x01\x04", msgpack.packb([*fields, 0, 500, 0]), payload]


def symbols(n: int = 48) -> bytes:
    return np.exp(1j * np.arange(n)).astype(np.complex64).tobytes()


class Bench:
    """A transmitter, a proxy and a receiver in one thread."""

    def __init__(self, context: zmq.Context, proxy: Proxy, upstream: zmq.Socket) -> None:
        self.proxy, self.upstream = proxy, upstream
        self.tx = context.socket(zmq.DEALER)
        self.tx.linger = 0
        self.tx.connect(proxy.address)

    def until(self, socket: zmq.Socket) -> list[bytes]:
        for _ in range(500):
            if socket.poll(0):
                return socket.recv_multipart()
            self.proxy.step(10)
        pytest.fail("nothing came through the proxy")

    def through(self, parts: list[bytes]) -> list[bytes]:
        self.tx.send_multipart(parts)
        return self.until(self.upstream)[2:]

    def quiet(self, parts: list[bytes], reason: str) -> None:
        """Send what must not come through; then see that the next good message does."""
        before = self.proxy.counts[reason]
        self.tx.send_multipart(parts)
        marker = [b"SC\x01\x06", b"marker", b""]
        assert self.through(marker) == marker
        assert self.proxy.counts[reason] == before + 1


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/in"


@pytest.fixture
def make_bench(context: zmq.Context, tmp_path: Path) -> Iterator[object]:
    opened: list[Bench] = []

    def make(spec: ChannelSpec, listen: str = "tcp://127.0.0.1:0", **more: object) -> Bench:
        upstream = context.socket(zmq.ROUTER)
        upstream.linger = 0
        upstream.bind("tcp://127.0.0.1:0")
        proxy = Proxy(context, Channel(spec), listen, upstream.getsockopt_string(zmq.LAST_ENDPOINT), **more)
        bench = Bench(context, proxy, upstream)
        opened.append(bench)
        hello = [b"SC\x01\x01", b"hello", b""]
        for _ in range(100):  # IMMEDIATE: messages are dropped until the connection upstream stands
            bench.tx.send_multipart(hello)
            for _ in range(5):
                proxy.step(10)
            if upstream.poll(0):
                break
        while upstream.poll(20):
            upstream.recv_multipart()
        return bench

    yield make
    for bench in opened:
        for socket in (bench.proxy, bench.tx, bench.upstream):
            socket.close()


def test_only_the_payload_of_data_is_changed(make_bench, address: str) -> None:
    bench = make_bench(ChannelSpec(snr_db=10.0, fading="rayleigh"), address)
    sent = data(3, symbols())
    got = bench.through(sent)
    assert got[:2] == sent[:2]
    expected, _ = Channel(bench.proxy.channel.spec).apply(5, 384, np.frombuffer(sent[2], "<c8"))
    assert got[2] == expected.tobytes()


def test_ideal_channel_is_bit_exact(make_bench, address: str) -> None:
    bench = make_bench(ChannelSpec(snr_db=math.inf), address)
    for seq in range(20):
        sent = data(seq, np.random.default_rng(seq).bytes(8 * 48).replace(b"\x7f", b"\x3f").replace(b"\xff", b"\x3f"))
        sent[2] = (np.nan_to_num(np.frombuffer(sent[2], "<f4")) % 1.0).astype("<f4").tobytes()
        assert bench.through(sent) == sent


def test_other_kinds_and_answers_pass_verbatim(make_bench) -> None:
    bench = make_bench(ChannelSpec(snr_db=0.0, fading="rayleigh"))
    for kind in (1, 2, 5, 6, 9, 77, 200):
        sent = [b"SC\x01" + bytes([kind]), b"any header", b"any payload \x00\xff"]
        bench.tx.send_multipart(sent)
        envelope = bench.until(bench.upstream)
        assert envelope[2:] == sent
        answer = [b"SC\x01\x05", b"an answer", bytes([kind])]
        bench.upstream.send_multipart([*envelope[:2], *answer])
        assert bench.until(bench.tx) == answer


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([b"junk"], "part_count"),
        ([b"GET ", b"/", b"HTTP"], "bad_prefix"),
        ([b"SC\x01\x04", b"\xc1", symbols()], "bad_msgpack"),
        ([b"SC\x01\x04", msgpack.packb([SESSION, 1]), symbols()], "arity"),
        ([b"SC\x09\x04", data(0, b"")[1], symbols()], "version"),
        (data(0, b"1234567"), "payload_size"),
        (data(0, b""), "payload_size"),
        (data(0, symbols(), air_start=2**63), "air_start"),
        (data(0, np.full(8, np.nan, np.complex64).tobytes()), "power"),
        (data(0, np.full(8, np.inf, np.complex64).tobytes()), "power"),
        (data(0, np.full(8, 1e30, np.complex64).tobytes()), "power"),
        (data(0, np.full(8, 1.5, np.complex64).tobytes()), "power"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_malformed_messages_are_counted_and_dropped(make_bench, parts: list[bytes], reason: str) -> None:
    make_bench(ChannelSpec()).quiet(parts, reason)


@pytest.mark.parametrize("prefix", [b"", b"SC", b"SC\x01", b"SC\x01\x01\x01"])
def test_a_prefix_of_another_length_does_not_end_an_emulator_that_records(
    make_bench, tmp_path: Path, prefix: bytes
) -> None:
    recorder = Recorder(tmp_path / "r", ChannelSpec())
    make_bench(ChannelSpec(), recorder=recorder).quiet([prefix, b"", b""], "bad_prefix")
    recorder.close()


def test_a_transmitter_is_told_of_bad_symbols_but_not_flooded(make_bench) -> None:
    bench = make_bench(ChannelSpec())
    for _ in range(5):
        bench.quiet(data(7, np.full(8, 9.0, np.complex64).tobytes()), "power")
    nak = decode(bench.until(bench.tx))
    assert nak == Nak(SESSION, 7, 0, NakCode.BAD_SYMBOLS)
    assert bench.proxy.counts["nak"] == 1


def test_each_bad_frame_is_told_of_and_one_that_comes_again_is_logged(
    make_bench, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    bench = make_bench(ChannelSpec(), clock=lambda: now[0])
    loud = np.full(8, 9.0, np.complex64).tobytes()
    for seq in (7, 8, 7):
        bench.quiet(data(seq, loud), "power")
    now[0] += 1.1
    for seq in (7, 8):
        bench.quiet(data(seq, loud), "power")
    told = [decode(bench.until(bench.tx)).seq for _ in range(4)]
    assert (told, bench.proxy.counts["nak"]) == ([7, 8, 7, 8], 4)
    again = [record for record in caplog.records if record.message == "refused_again"]
    assert [(record.seq, record.reason, record.session) for record in again] == [(7, "power", SESSION.hex())]
    for seq in range(100, 140):
        bench.quiet(data(seq, loud), "power")
    assert bench.proxy.counts["nak"] == 4 + 14  # two of the sixteen a second are younger than a second


def test_lost_frames_are_counted_and_the_rest_goes_on(make_bench) -> None:
    bench = make_bench(ChannelSpec(), transit=TransitSpec(drop=1.0))
    bench.quiet(data(0, symbols()), "lost")


def test_delay_holds_messages_back_and_keeps_their_order(make_bench) -> None:
    now = [100.0]
    bench = make_bench(ChannelSpec(), clock=lambda: now[0])
    bench.proxy._transit = TransitSpec(delay_ms=50.0)
    bench.tx.send_multipart(data(1, symbols()))
    bench.tx.send_multipart([b"SC\x01\x06", b"ping", b""])
    while not bench.proxy.counts["data"]:
        bench.proxy.step(10)
    for _ in range(10):
        bench.proxy.step(10)
    assert not bench.upstream.poll(0)
    now[0] += 0.051
    assert bench.until(bench.upstream)[2][3] == Kind.DATA
    now[0] += 0.051
    assert bench.until(bench.upstream)[2][3] == Kind.PING


def result(seq: int) -> list[bytes]:
    fields = [SESSION, seq, 0, 0, 7.25, 8.5, 0.5, 0.25, 1e-4, 128 * seq, 0.75, 10, 20, 2, "a later version's field"]
    return [b"SC\x01\x05", msgpack.packb(fields), msgpack.packb({"classify": {"index": 3}})]


def answers(bench: Bench, count: int) -> list[list[bytes]]:
    """Send frames 0..count-1 and answer each; what the transmitter gets."""
    got = []
    for seq in range(count):
        bench.tx.send_multipart(data(seq, symbols()))
        envelope = bench.until(bench.upstream)[:2]
        bench.upstream.send_multipart([*envelope, *result(seq)])
        got.append(bench.until(bench.tx))
    return got


def test_a_lost_report_leaves_the_rest_of_the_answer_as_it_was(make_bench) -> None:
    bench = make_bench(ChannelSpec(), feedback=FeedbackSpec(loss=1.0))
    (got,) = answers(bench, 1)
    fields, sent = msgpack.unpackb(got[1]), msgpack.unpackb(result(0)[1])
    assert fields[4:9] == [None] * 5
    assert (fields[:4], fields[9:]) == (sent[:4], sent[9:])
    assert (got[0], got[2]) == (result(0)[0], result(0)[2])


def test_a_delayed_report_keeps_its_air_sample_on_the_wire(make_bench) -> None:
    bench = make_bench(ChannelSpec(), feedback=FeedbackSpec(delay=256))
    heads = [decode(got) for got in answers(bench, 3)]
    assert [(one.seq, one.snr_inst_db, one.air_start) for one in heads] == [(0, None, 0), (1, None, 128), (2, 7.25, 0)]


def test_the_way_back_knows_the_stream_of_its_session(make_bench) -> None:
    """Losses are drawn per stream, which a RESULT does not name."""
    gone = []
    for stream in (5, 6):
        bench = make_bench(ChannelSpec(), feedback=FeedbackSpec(loss=0.5))
        for seq in range(20):
            bench.tx.send_multipart(data(seq, symbols(), stream))
            bench.upstream.send_multipart([*bench.until(bench.upstream)[:2], *result(seq)])
            gone.append(decode(bench.until(bench.tx)).snr_inst_db is None)
    assert gone[:20] != gone[20:]
    assert any(gone[:20])


def test_lost_answers_are_counted_and_other_kinds_come_back(make_bench) -> None:
    bench = make_bench(ChannelSpec(), back=TransitSpec(drop=1.0))
    bench.tx.send_multipart(data(0, symbols()))
    envelope = bench.until(bench.upstream)[:2]
    pong = [b"SC\x01\x07", b"a pong", b""]
    for message in (result(0), pong):
        bench.upstream.send_multipart([*envelope, *message])
    assert bench.until(bench.tx) == pong
    assert bench.proxy.counts["answers_lost"] == 1


def test_answers_wait_for_the_delay_of_the_way_back(make_bench) -> None:
    now = [100.0]
    bench = make_bench(ChannelSpec(), back=TransitSpec(delay_ms=50.0), clock=lambda: now[0])
    bench.tx.send_multipart(data(0, symbols()))
    bench.upstream.send_multipart([*bench.until(bench.upstream)[:2], *result(0)])
    for _ in range(20):
        bench.proxy.step(10)
    assert not bench.tx.poll(0)
    now[0] += 0.051
    assert bench.until(bench.tx) == result(0)


def test_an_answer_that_cannot_be_read_is_refused_only_where_its_report_matters(make_bench) -> None:
    bench = make_bench(ChannelSpec(), feedback=FeedbackSpec(loss=1.0))
    bench.tx.send_multipart(data(0, symbols()))
    envelope = bench.until(bench.upstream)[:2]
    for message in ([b"SC\x01\x05", b"\xc1", b""], result(0)):
        bench.upstream.send_multipart([*envelope, *message])
    assert bench.until(bench.tx)[2] == result(0)[2]
    assert bench.proxy.counts["bad_msgpack"] == 1


def test_truth_goes_to_the_file_and_not_to_the_receiver(make_bench, tmp_path: Path) -> None:
    truth = TruthLog(tmp_path / "truth.jsonl")
    bench = make_bench(ChannelSpec(snr_db=6.0, fading="rayleigh"), truth=truth)
    bench.through(data(2, symbols(), round_=1))
    truth.close()
    entry = json.loads((tmp_path / "truth.jsonl").read_text())
    _, expected = Channel(bench.proxy.channel.spec).apply(5, 256, np.frombuffer(symbols(), "<c8"), 1)
    assert entry["session"] == SESSION.hex()
    assert (entry["seq"], entry["round"], entry["stream"], entry["air_start"]) == (2, 1, 5, 256)
    assert complex(entry["h_re"], entry["h_im"]) == pytest.approx(expected.h)
    assert entry["snr_inst_db"] == pytest.approx(expected.snr_inst_db)
    assert entry["power"] == pytest.approx(1.0, abs=1e-5)


def test_nobody_upstream_is_counted_and_not_waited_for(context: zmq.Context) -> None:
    proxy = Proxy(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:1")
    tx = context.socket(zmq.DEALER)
    tx.linger = 0
    tx.connect(proxy.address)
    tx.send_multipart(data(0, symbols()))
    for _ in range(500):
        proxy.step(10)
        if proxy.counts["upstream_away"]:
            break
    assert proxy.counts["upstream_away"] == 1
    tx.close()
    proxy.close()


def test_that_nobody_is_upstream_is_told_once_a_minute(context: zmq.Context, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    proxy = Proxy(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", "tcp://127.0.0.1:1", clock=lambda: now[0])
    told = []
    for now[0] in (1.0, AWAY_S - 0.1, AWAY_S, AWAY_S + 1.0, AWAY_S + AWAY_AGAIN_S - 0.1, AWAY_S + AWAY_AGAIN_S):
        proxy.step(0)
        told.append([record.message for record in caplog.records].count("upstream_away"))
    assert told == [0, 0, 1, 1, 1, 2]
    proxy.close()


def test_a_receiver_that_is_behind_is_waited_for_and_nothing_is_pushed_out(
    make_bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(ChannelSpec())
    back, away, refusals = bench.proxy._dialer.socket, bench.proxy.counts["upstream_away"], iter(range(5))

    def put_later(socket: zmq.Socket, parts: list[bytes]) -> None:
        if socket is back and next(refusals, None) is not None:  # no room for the first five times
            raise zmq.Again
        put(socket, parts)

    monkeypatch.setattr(proxy, "put", put_later)
    sent = [[b"SC\x01\x06", bytes([number]), b""] for number in range(4)]
    for message in sent:
        bench.tx.send_multipart(message)
    assert [bench.until(bench.upstream)[2:] for _ in sent] == sent
    assert next(refusals, None) is None
    assert bench.proxy.counts["upstream_away"] == away


def test_what_is_delayed_is_bounded(make_bench) -> None:
    bench = make_bench(ChannelSpec(), clock=lambda: 100.0)
    bench.proxy._transit = TransitSpec(delay_ms=60_000.0)
    bench.proxy._on_the_way = OnTheWay(most_bytes=100_000)
    for _ in range(20):
        bench.tx.send_multipart([b"SC\x01\x06", b"", bytes(10_000)])
    while bench.proxy.counts["too_much_on_the_way"] < 11:
        bench.proxy.step(10)
    assert len(bench.proxy._on_the_way.due(200.0)) == 9


def test_who_asks_what_is_there_is_answered_and_counts_as_no_error(
    make_bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(ChannelSpec())
    for seq in range(3):
        question = ask_who(seq)
        bench.tx.send_multipart(encode(question))
        assert decode(bench.until(bench.tx)) == Nak(question.session, seq, 0, NakCode.BAD_SYMBOLS)
    assert bench.proxy.counts["payload_size"] == 0
    assert not caplog.records
    bench.quiet(data(3, b""), "payload_size")  # of anybody else it is an error
