"""What left the channel is recorded in SigMF, and plays back to a receiver sample by sample."""

import json
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import zmq

from common.channel.channel import Channel
from common.channel.proxy import Proxy
from common.channel.raw import RawWire
from common.channel.record import Recorder, recording_paths
from common.channel.replay import Player, Recording, play_raw
from common.channel.spec import ChannelSpec
from common.errors import ConfigError, LinkDown, PeerRejected
from common.protocol.frames import decode, encode
from common.protocol.messages import Accept, Bye, Data, Hello, Reject, RejectCode, Result, Status

sigmf = pytest.importorskip("sigmf", reason="the sigmf library is not installed: pip install 'semlink[record]'")

SESSIONS = (bytes(16), bytes(range(16)))
MODEL = bytes(32)


def hello(session: bytes) -> Hello:
    return Hello(session, 1, 1, "test", MODEL, (0,), (), 1)


def data(session: bytes, seq: int) -> Data:
    payload = np.exp(1j * np.arange(40 + seq)).astype(np.complex64).tobytes()
    return Data(session, seq, 3, 128 * seq, 0, 0, 0, 0, 40 + seq, 1, 500, 0, payload)


class Receiver:
    """Answers HELLO with ACCEPT (or REJECT) and DATA with RESULT, and keeps what it got."""

    def __init__(self, context: zmq.Context, reject: bool = False) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind("tcp://127.0.0.1:0")
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.frames: list[Data] = []
        self.left: list[bytes] = []
        self.all_left = threading.Event()
        self._reject = reject
        self._stop = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop:
            if not self.socket.poll(20):
                continue
            parts = self.socket.recv_multipart()
            message = decode(parts[-3:])
            answer: Accept | Reject | Result | None = None
            if isinstance(message, Hello):
                answer = Accept(message.session, 1, MODEL, 2, 128, 64, 500, 250, 3, 0, (), 1, 2, 3)
                if self._reject:
                    answer = Reject(message.session, RejectCode.MODEL_MISMATCH, MODEL, "another pair")
            elif isinstance(message, Data):
                self.frames.append(message)
                answer = Result(
                    message.session, message.seq, message.round, Status.OK, 10.0, None, None, None, None,
                    message.air_start, 0.9, 1, 1, 2, {"class": message.seq},
                )  # fmt: skip
            elif isinstance(message, Bye):
                self.left.append(message.session)
                if len(self.left) == len(SESSIONS):
                    self.all_left.set()
            if answer is not None:
                self.socket.send_multipart([*parts[:-3], *encode(answer)])

    def close(self) -> None:
        self._stop = True
        self._thread.join()
        self.socket.close()


def record(context: zmq.Context, path: Path) -> list[bytes]:
    """Two interleaved sessions through a recording proxy; the payloads that the receiver got."""
    receiver = Receiver(context)
    recorder = Recorder(path, ChannelSpec(snr_db=8.0, fading="rayleigh", rate=1e6))
    proxy = Proxy(
        context, Channel(ChannelSpec(snr_db=8.0, fading="rayleigh")), "tcp://127.0.0.1:0", receiver.address,
        recorder=recorder,
    )  # fmt: skip
    tx = context.socket(zmq.DEALER)
    tx.linger = 0
    tx.connect(proxy.address)

    def send(message: Hello | Data) -> None:
        for _ in range(100):
            tx.send_multipart(encode(message))
            for _ in range(10):
                proxy.step(10)
                if tx.poll(0):
                    tx.recv_multipart()
                    return
        pytest.fail("no answer through the proxy")

    for session in SESSIONS:
        send(hello(session))
    for seq in range(3):
        for session in SESSIONS:
            send(data(session, seq))
    for closing in (tx, proxy, receiver, recorder):
        closing.close()
    return [frame.payload for frame in receiver.frames]


def test_a_recording_is_sigmf_and_holds_the_truth(context: zmq.Context, tmp_path: Path) -> None:
    payloads = record(context, tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own
        read = sigmf.sigmffile.fromfile(str(tmp_path / "run.sigmf-meta"))
        read.validate()
        samples = np.asarray(read.read_samples())
    assert samples.astype(np.complex64).tobytes() == b"".join(payloads)
    assert read.get_global_info()["core:sample_rate"] == 1e6
    notes = read.get_annotations()
    assert [note["core:sample_count"] for note in notes] == [40, 40, 41, 41, 42, 42]
    truth = Channel(ChannelSpec(snr_db=8.0, fading="rayleigh")).truth(3, 128, np.ones(41, np.complex64))
    assert complex(notes[2]["semlink:h_re"], notes[2]["semlink:h_im"]) == pytest.approx(truth.h)
    assert notes[2]["semlink:snr_inst_db"] == pytest.approx(truth.snr_inst_db)


def test_playback_gives_the_receiver_the_same_frames(context: zmq.Context, tmp_path: Path) -> None:
    payloads = record(context, tmp_path / "run")
    receiver = Receiver(context)
    player = Player(context, receiver.address)
    results = list(player.play(Recording(tmp_path / "run.sigmf-meta")))
    assert receiver.all_left.wait(10)
    player.close()
    receiver.close()
    assert [frame.payload for frame in receiver.frames] == payloads
    assert [result.seq for result in results] == [0, 0, 1, 1, 2, 2]
    assert [frame.session for frame in receiver.frames] == list(SESSIONS) * 3
    assert sorted(receiver.left) == sorted(SESSIONS)


def test_a_receiver_that_refuses_or_is_away_is_one_error(context: zmq.Context, tmp_path: Path) -> None:
    record(context, tmp_path / "run")
    recording = Recording(tmp_path / "run")
    receiver = Receiver(context, reject=True)
    player = Player(context, receiver.address)
    with pytest.raises(PeerRejected, match="MODEL_MISMATCH another pair"):
        list(player.play(recording))
    player.close()
    receiver.close()
    player = Player(context, "tcp://127.0.0.1:1", timeout_s=0.2)
    with pytest.raises(LinkDown, match="no receiver"):
        list(player.play(recording))
    player.close()


def test_a_receiver_that_leaves_after_its_last_answer_is_no_error(context: zmq.Context, tmp_path: Path) -> None:
    record(context, tmp_path / "run")
    receiver = Receiver(context)
    player = Player(context, receiver.address, timeout_s=0.5)
    playing = player.play(Recording(tmp_path / "run"))
    answers = [next(playing) for _ in range(6)]
    receiver.close()
    answers += list(playing)
    player.close()
    assert len(answers) == 6


def test_a_raw_recording_plays_to_a_raw_sink(context: zmq.Context, tmp_path: Path) -> None:
    sink, source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    sink.bind("tcp://127.0.0.1:0")
    address = sink.getsockopt_string(zmq.LAST_ENDPOINT)
    recorder = Recorder(tmp_path / "raw.sigmf", ChannelSpec())
    wire = RawWire(context, Channel(ChannelSpec()), "tcp://127.0.0.1:0", address, recorder)
    source.connect(wire.address)
    got = []
    for size in (100, 5000):
        source.send(np.ones(size, np.complex64).tobytes())
        while not sink.poll(0):
            wire.step(10)
        got.append(sink.recv())
    for closing in (wire, source, recorder):
        closing.close()
    recording = Recording(tmp_path / "raw")
    assert play_raw(context, address, recording, 5.0) == 5100
    assert [sink.recv() for _ in range(2)] == got
    player = Player(context, address)
    with pytest.raises(ConfigError, match="add --wire cf32"):
        next(player.play(recording))
    player.close()
    sink.close()


@pytest.mark.parametrize(
    ("meta", "says"),
    [
        (None, "No such file"),
        ("{", "no recording of this emulator"),
        (json.dumps({"global": {"core:datatype": "ci16_le"}, "annotations": []}), "cf32_le"),
        (json.dumps({"global": {"core:datatype": "cf32_le"}, "annotations": []}), "nothing in it"),
        (
            json.dumps({"global": {"core:datatype": "cf32_le"}, "annotations": [
                {"core:sample_start": 0, "core:sample_count": 9, "semlink:air_start": 0}]}),
            "not in the data",
        ),
    ],
)  # fmt: skip
def test_a_wrong_recording_is_named(tmp_path: Path, meta: str | None, says: str) -> None:
    (tmp_path / "x.sigmf-data").write_bytes(bytes(16))
    if meta is not None:
        (tmp_path / "x.sigmf-meta").write_text(meta)
    with pytest.raises(ConfigError, match=says):
        Recording(tmp_path / "x")


@pytest.mark.parametrize("place", [".", "/"])
def test_a_recording_needs_a_name(place: str) -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        recording_paths(Path(place))
    with pytest.raises(ConfigError, match="needs a name"):
        Recording(Path(place))
