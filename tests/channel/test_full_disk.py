"""A disk that is full stops a recording, not the channel: the link loses nothing, and what is missing is counted."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from common.channel.files.output import READ_WITHIN_S, Output
from common.channel.files.recording import Recorder
from common.channel.files.replay import Recording
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Truth
from common.channel.wire.control import ask
from common.errors import SemlinkError
from common.protocol.frames import encode
from common.protocol.messages import Data

FRAMES, SYMBOLS = 20, 4096
ROOM_512 = 512
"""Blocks of 512 bytes that the shell lets a file have: 8 frames of 4096 symbols."""


def test_a_piece_that_does_not_fit_is_taken_back_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    output = Output(Path("/dev/full"), "--record")
    assert not output.write(b"x" * 10)
    assert not output.write(b"")
    assert [(r.message, r.__dict__["why"]) for r in caplog.records] == [("writing_stopped", "No space left on device")]
    with pytest.raises(SemlinkError, match=r"--record /dev/full: 2 of 2 frames"):
        output.close()


def test_a_pipe_that_is_read_late_gets_everything_and_one_that_is_not_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, piece = tmp_path / "pipe", b"x" * 1000
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output = Output(path, "--truth")
    reading = threading.Timer(0.1, os.read, (reader, 1 << 20))
    with select.epoll() as room:  # full but for what a page has left
        room.register(output._file, select.EPOLLOUT)
        while room.poll(0):
            assert output.write(piece)
        reading.start()
        assert output.write(piece)
        reading.join()
        while room.poll(0):
            assert output.write(piece)
    began = time.monotonic()
    while output.write(piece):
        pass  # into the last page
    assert time.monotonic() - began >= READ_WITHIN_S
    assert not output.write(piece)
    assert [(r.message, r.__dict__["why"]) for r in caplog.records] == [
        ("writing_stopped", f"nobody reads it for {READ_WITHIN_S:g} s")
    ]
    with pytest.raises(SemlinkError, match=r"--truth .*pipe: 2 of \d+ frames"):
        output.close()
    os.close(reader)


SMALL_DISK = """
import sys
from pathlib import Path
import numpy as np
from common.channel.files.recording import Recorder
from common.channel.files.replay import Recording
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Truth
from common.errors import ConfigError, SemlinkError

for symbols in (1, 64, 1000):  # what meets the end first is a note, or samples
    place = Path(sys.argv[1]) / "run"
    recorder, kept = Recorder(place, ChannelSpec()), 0
    for k in range(300):
        kept += recorder.samples(0, k * symbols, np.full(symbols, k, np.complex64), Truth(1.0 + 0.0j, 10.0, 1.0))
    try:
        recorder.close()
    except SemlinkError as error:
        assert str(error) == f"--record {place}.sigmf-data: {300 - kept} of 300 frames are not in it (see the log)"
    with Recording(place) as recording:
        assert [piece.samples[0].real for piece in recording.pieces] == list(range(kept)), kept
    assert 0 < kept < 300
    (place.with_suffix(".sigmf-data")).unlink(), (place.with_suffix(".sigmf-meta")).unlink()
Path(sys.argv[1], "rest").write_bytes(bytes(48 << 10))
try:
    Recorder(place, ChannelSpec())
except ConfigError as error:
    assert "No space left on device" in str(error), error
    assert [path.name for path in place.parent.iterdir()] == ["rest"]
    print("done")
"""


def test_what_fitted_on_a_disk_that_is_full_can_be_played(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=48k none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no small disk can be made here")
    words = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" -c "$1" {tmp_path}', sys.executable, SMALL_DISK]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "done\n", done.stderr


def test_a_description_that_cannot_be_written_is_told_beside_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, truth = Recorder(tmp_path / "run", ChannelSpec()), Truth(1.0 + 0.0j, 10.0, 1.0)
    assert recorder.samples(0, 0, np.ones(9, np.complex64), truth)
    monkeypatch.setattr(recorder._data, "_fits", lambda _: False)
    assert not recorder.samples(0, 9, np.ones(9, np.complex64), truth)
    recorder._notes._file.close()
    monkeypatch.setattr(recorder._notes, "_file", open("/dev/full", "wb", buffering=0))  # noqa: SIM115  # it closes it
    with pytest.raises(
        SemlinkError, match=r"^--record .*-data: 1 of 2 frames.*; cannot write .*-meta: No space left.*lack"
    ):
        recorder.close()


def wait_for_a_way_through(transmitter: "zmq.Socket[bytes]", receiver: "zmq.Socket[bytes]") -> None:
    """Until its connection to the receiver stands, an emulator drops what comes; it listens before."""
    greeting, last = [b"SC\x01\x01", b"hello", b""], [b"SC\x01\x01", b"last", b""]
    for _ in range(300):
        transmitter.send_multipart(greeting)
        if receiver.poll(100):
            break
    transmitter.send_multipart(last)
    while receiver.poll(30_000):
        if receiver.recv_multipart()[-3:] == last:
            return
    pytest.fail("nothing comes through the emulator")


@pytest.mark.parametrize("option", ["--record", "--truth"])
def test_the_emulator_goes_on_forwarding(
    context: "zmq.Context[zmq.Socket[bytes]]", tmp_path: Path, option: str
) -> None:
    receiver, transmitter = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    receiver.bind("tcp://127.0.0.1:0")
    upstream = receiver.getsockopt_string(zmq.LAST_ENDPOINT).removeprefix("tcp://")
    script, path = Path(sys.executable).with_name("channel-emu"), tmp_path / "run"
    room = ROOM_512 if option == "--record" else 4
    limited = f'ulimit -f {room}; exec "$0" --listen 0 --control 0 --upstream {upstream} {option} {path}'
    emulator = subprocess.Popen(["sh", "-c", limited, str(script)], stderr=subprocess.PIPE, text=True)
    try:
        assert emulator.stderr is not None
        said = [emulator.stderr.readline(), emulator.stderr.readline()]
        words = " ".join(said).replace(",", " ").split()
        listen, control = (next(w for w in words[words.index(k) :] if "://" in w) for k in ("listening", "control"))
        transmitter.connect(listen)
        wait_for_a_way_through(transmitter, receiver)
        for seq in range(FRAMES):
            payload = np.ones(SYMBOLS, np.complex64).tobytes()
            transmitter.send_multipart(
                encode(Data(bytes(16), seq, 0, seq * 4096, 0, 0, 0, 0, SYMBOLS, 0, 500, 0, payload))
            )
            assert receiver.poll(30_000)
            receiver.recv_multipart()
        counts = ask(control, {"op": "status"})["counts"]
        emulator.send_signal(signal.SIGTERM)
        rest = emulator.stderr.read()
        assert emulator.wait(30) == 1
    finally:
        emulator.kill()
        emulator.communicate()
        for socket in (transmitter, receiver):
            socket.close(0)
    missing = counts["unrecorded" if option == "--record" else "truth_missed"]
    assert counts["data"] == FRAMES
    assert 0 < missing < FRAMES
    assert rest.count("writing_stopped") == 1
    assert f"error: {option} " in rest
    assert f"{missing} of {FRAMES} frames are not in it" in rest
    assert "Traceback" not in rest
    if option == "--record":
        with Recording(path) as recording:
            kept = len(recording)
            assert sum(piece.samples.size for piece in recording.pieces) == kept * SYMBOLS
    else:
        kept = len([json.loads(line) for line in path.read_text().splitlines()])
    assert kept == FRAMES - missing
