"""What left the channel is recorded in SigMF, and plays back to a receiver sample by sample."""

import json
import os
import signal
import threading
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zmq
from click.testing import CliRunner

from common.channel.cli import command
from common.channel.files import recording as record_module
from common.channel.files.output import Output, check_output
from common.channel.files.recording import Recorder, check_recording, recording_paths
from common.channel.files.replay import Player, Recording, play_raw
from common.channel.files.truth import TruthLog
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel, Truth
from common.channel.wire.proxy import Proxy
from common.channel.wire.raw import RawWire
from common.errors import ConfigError, LinkDown, PeerRejected
from common.protocol.frames import DataHead, decode, encode
from common.protocol.messages import Accept, Bye, Data, Hello, Reject, RejectCode, Result, Status
from tests.warm import Stem

sigmf = pytest.importorskip("sigmf", reason="the sigmf library is not installed: pip install sigmf")

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
    with Recording(tmp_path / "run.sigmf-meta") as recording:
        results = list(player.play(recording))
    assert receiver.all_left.wait(10)
    player.close()
    receiver.close()
    assert [frame.payload for frame in receiver.frames] == payloads
    assert [result.seq for result in results] == [0, 0, 1, 1, 2, 2]
    assert [frame.session for frame in receiver.frames] == list(SESSIONS) * 3
    assert sorted(receiver.left) == sorted(SESSIONS)


def test_a_receiver_that_refuses_or_is_away_is_one_error(context: zmq.Context, tmp_path: Path) -> None:
    record(context, tmp_path / "run")
    receiver = Receiver(context, reject=True)
    player = Player(context, receiver.address)
    with Recording(tmp_path / "run") as recording, pytest.raises(PeerRejected, match="MODEL_MISMATCH another pair"):
        list(player.play(recording))
    player.close()
    receiver.close()
    player = Player(context, "tcp://127.0.0.1:1", timeout_s=0.2)
    with Recording(tmp_path / "run") as recording, pytest.raises(LinkDown, match="no receiver"):
        list(player.play(recording))
    player.close()


def test_a_receiver_that_leaves_after_its_last_answer_is_no_error(context: zmq.Context, tmp_path: Path) -> None:
    record(context, tmp_path / "run")
    receiver = Receiver(context)
    player = Player(context, receiver.address, timeout_s=0.5)
    with Recording(tmp_path / "run") as recording:
        playing = player.play(recording)
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
    with Recording(tmp_path / "raw") as recording:
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


def short(path: Path, value: float = 1.0, overwrite: bool = False) -> Recorder:
    """A recorder with three messages in it."""
    recorder = Recorder(path, ChannelSpec(), overwrite)
    for number in range(3):
        y = np.full(10 + number, value, np.complex64)
        assert recorder.samples(0, 100 * number, y, Truth(1.0 + 0.0j, 10.0, 1.0))
    return recorder


def test_a_name_that_is_taken_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    short(tmp_path / "run").close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(before) == ["run.sigmf-data", "run.sigmf-meta"]
    for name in before:
        (tmp_path / "run.sigmf-meta").unlink() if name.endswith("data") else (tmp_path / "run.sigmf-data").unlink()
        with pytest.raises(ConfigError, match="there is such a file already; name another, or add --overwrite"):
            Recorder(tmp_path / "run", ChannelSpec())
        for path, content in before.items():
            (tmp_path / path).write_bytes(content)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_left_of_a_start_that_was_refused_or_of_no_frames_but_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "there.sigmf-data").touch()
    os.mkfifo(tmp_path / "pipe.sigmf-data")
    reader = os.open(tmp_path / "pipe.sigmf-data", os.O_RDONLY | os.O_NONBLOCK)
    before = sorted(tmp_path.iterdir())
    flags = ["--listen", "0", "--upstream", "127.0.0.1:1", "--control", "0", "--truth", str(tmp_path / "truth")]
    refused = CliRunner().invoke(command, [*flags, "--record", str(tmp_path / "there")], obj={"log_format": "text"})
    assert "there is such a file already" in str(refused.exception)
    Recorder(tmp_path / "pipe", ChannelSpec()).close()
    Recorder(tmp_path / "none", ChannelSpec()).close()
    assert sorted(tmp_path.iterdir()) == before
    os.close(reader)


@pytest.mark.parametrize("survivor", [None, 2.0])
def test_a_recording_that_is_cut_short_is_never_played_as_another(tmp_path: Path, survivor: float | None) -> None:
    """kill -9: whatever lies there then has no description, or the one that belongs to it."""
    short(tmp_path / "run", 1.0).close()
    killed = short(tmp_path / "run", 2.0, overwrite=True)
    stages = [{path.name: path.read_bytes() for path in tmp_path.iterdir()}]
    if survivor:
        killed.close()
        with Recording(tmp_path / "run") as recording:
            assert [piece.samples.tolist() for piece in recording.pieces] == [[survivor] * n for n in (10, 11, 12)]
        return
    for number, content in enumerate(stages):
        place = tmp_path / f"found{number}"
        place.mkdir()
        for name, data in content.items():
            (place / name).write_bytes(data)
        with pytest.raises(ConfigError, match=r"run\.sigmf-meta cannot be read: No such file"):
            Recording(place / "run")
    killed.close()


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "other", "no hash", "cut description"])
def test_samples_that_are_not_those_described_are_refused(tmp_path: Path, damage: str) -> None:
    short(tmp_path / "run").close()
    data, meta = tmp_path / "run.sigmf-data", tmp_path / "run.sigmf-meta"
    content, about = data.read_bytes(), json.loads(meta.read_text())
    if damage == "flipped":
        data.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    elif damage == "cut":
        data.write_bytes(content[:-8])
    elif damage == "longer":
        data.write_bytes(content + content[:8])
    elif damage == "other":
        data.write_bytes(np.full(33, 2.0, np.complex64).tobytes())
    elif damage == "no hash":
        del about["global"]["core:sha512"]
        meta.write_text(json.dumps(about))
    else:
        meta.write_text(meta.read_text()[:-40])
    with pytest.raises(ConfigError, match=r"core:sha512|not in the data|no recording of this emulator"):
        Recording(tmp_path / "run")


def test_what_is_written_is_its_owners_alone_and_no_link_is_followed(tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_text("mine")
    (tmp_path / "link").symlink_to(treasure)
    (tmp_path / "run.sigmf-data").symlink_to(treasure)
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="this is a link"):
            TruthLog(tmp_path / "link", overwrite)
        with pytest.raises(ConfigError, match="this is a link"):
            Recorder(tmp_path / "run", ChannelSpec(), overwrite)
    with pytest.raises(ConfigError, match="such a file already"):
        TruthLog(treasure)
    assert treasure.read_text() == "mine"
    (tmp_path / "same").hardlink_to(treasure)
    Output(tmp_path / "same", "--truth", overwrite=True).close()
    assert treasure.read_text() == "mine"  # replaced, not written over
    short(tmp_path / "new").close()
    for path in (tmp_path / "same", tmp_path / "new.sigmf-data", tmp_path / "new.sigmf-meta"):
        assert path.stat().st_mode & 0o777 == 0o600
    for name in ("folder\0", "none/such"):
        with pytest.raises(ConfigError, match="--truth"):
            TruthLog(tmp_path / name)
    TruthLog(Path("/dev/null")).close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_the_description(context: zmq.Context, stem: Stem, tmp_path: Path, number: int) -> None:
    sink, source = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    sink.linger = source.linger = 0
    sink.bind("tcp://127.0.0.1:0")
    words = ["--wire", "cf32", "--listen", "tcp://127.0.0.1:0", "--control", "0", "--record", str(tmp_path / "run"),
             "--upstream", sink.getsockopt_string(zmq.LAST_ENDPOINT)]  # fmt: skip
    emulator = stem.start("channel-emu", *words)
    line = emulator.stderr.readline()
    source.connect(line.split("listening on ")[1].split(",")[0])
    source.send(np.ones(500, np.complex64).tobytes())
    assert sink.poll(20_000)
    emulator.send_signal(number)
    _, said = emulator.communicate(timeout=60)
    source.close()
    sink.close()
    assert emulator.returncode == 0, said
    with Recording(tmp_path / "run") as recording:
        assert sum(piece.samples.size for piece in recording.pieces) == 500


def test_a_long_recording_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "_HELLOS", 64)
    recorder, y = Recorder(tmp_path / "run", ChannelSpec()), np.ones(1, np.complex64)
    head = DataHead(SESSIONS[1], 0, 0, 0, 0)
    tracemalloc.start()
    for number in range(1500):
        recorder.hello(encode(hello(number.to_bytes(16))))
        recorder.frame(head, bytes(40), y, Truth(1.0 + 0.0j, 10.0, 1.0))
        if number == 500:
            middle, _ = tracemalloc.get_traced_memory()
    grown = tracemalloc.get_traced_memory()[0] - middle
    tracemalloc.stop()
    recorder.close()
    assert grown < 50_000
    with Recording(tmp_path / "run") as recording:
        assert len(recording) == 1500


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What is in a folder, and when each file was changed."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


def tried(look: Callable[[], object]) -> str:
    try:
        look()
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["new", "there", "folder", "link", "nowhere/new"])
def test_a_check_says_what_the_start_would_and_changes_nothing(name: str, overwrite: bool, tmp_path: Path) -> None:
    for stem in ("there", "folder", "link"):
        for end in ("", ".sigmf-meta", ".sigmf-data"):
            path = tmp_path / f"{stem}{end}"
            if stem == "there":
                path.write_bytes(b"years")
            elif stem == "link":
                path.symlink_to(tmp_path / "there")
    (tmp_path / "folder").mkdir()
    before = everything(tmp_path)
    truth = tried(lambda: check_output(tmp_path / name, "--truth", overwrite))
    record = tried(lambda: check_recording(tmp_path / name, overwrite))
    assert everything(tmp_path) == before
    assert truth == tried(lambda: TruthLog(tmp_path / name, overwrite).close())
    assert record == tried(lambda: Recorder(tmp_path / name, ChannelSpec(), overwrite).close())
    assert bool(truth) == (name != "new" and not (name == "there" and overwrite))
