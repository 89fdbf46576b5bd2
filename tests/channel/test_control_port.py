"""The control port belongs to this user, reads no path of a stranger's, and answers every request with one line."""

import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel
from common.channel.wire.control import ControlClient, ControlPort
from common.control.private import check_control, control_to_ask, control_to_bind
from common.errors import ConfigError
from common.transport.claimed import Claim
from tests.warm import Stem


class Desk:
    """A control port on a socket of its own, asked in one thread."""

    def __init__(self, context: zmq.Context, folder: Path, traces: Path | None = None, framed: bool = True) -> None:
        self.channel = Channel(ChannelSpec(snr_db=20.0))
        address = f"ipc://{folder}/control"
        self.port = ControlPort(context, address, self.channel, Counter(), framed, traces=traces)
        self.client = context.socket(zmq.DEALER)
        self.client.linger = 0
        self.client.connect(address)

    def ask(self, body: Any, patience: int = 400) -> dict[str, Any]:
        """One request, msgpack or bytes as they are; its answer."""
        self.client.send(body if isinstance(body, bytes) else msgpack.packb(body))
        for _ in range(patience):
            self.port.serve()
            if self.client.poll(5):
                answer = msgpack.unpackb(self.client.recv())
                assert not self.client.poll(0)
                return answer
        pytest.fail("no answer")

    def set(self, **parameters: Any) -> dict[str, Any]:
        return self.ask({"op": "set", "parameters": parameters})


@pytest.fixture
def make_desk(context: zmq.Context, tmp_path: Path) -> Iterator[Any]:
    made: list[Desk] = []

    def make(**more: Any) -> Desk:
        made.append(Desk(context, tmp_path, **more))
        return made[-1]

    yield make
    for desk in made:
        desk.client.close()
        desk.port.close()


# -- whose it is


def test_a_number_is_a_socket_that_only_this_user_can_reach(
    context: zmq.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    address = control_to_bind("5557", insecure=False)
    assert address == f"ipc://{tmp_path}/semlink/control-5557"
    port = ControlPort(context, address, Channel(ChannelSpec()), Counter(), True)
    path = tmp_path / "semlink" / "control-5557"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    for typed in ("5557", "127.0.0.1:5557", "localhost:5557", "[::1]:5557"):
        assert control_to_ask(typed) == address
    assert control_to_ask("192.0.2.1:5557") == "tcp://192.0.2.1:5557"
    assert control_to_ask("127.0.0.1:45558") == "tcp://127.0.0.1:45558"  # nothing of this user's is there
    with pytest.raises(ConfigError, match="another process does; choose another"):
        ControlPort(context, address, Channel(ChannelSpec()), Counter(), True)
    assert path.is_socket()
    port.close()
    assert not list(path.parent.iterdir()), "whoever asks later is not sent to a socket of nobody"
    ControlPort(context, address, Channel(ChannelSpec()), Counter(), True).close()
    (tmp_path / "semlink").chmod(0o755)  # not ours alone any more: the next place is taken
    assert "semlink/control-5557" not in control_to_bind("5557", insecure=False)


def test_the_socket_of_an_emulator_that_was_killed_is_taken_over(context: zmq.Context, tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/control"
    script = "import os; from common.transport.claimed import Claim; "
    script += f"Claim({address!r}, ''); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == -signal.SIGKILL
    assert (tmp_path / "control.lock").exists()
    ControlPort(context, address, Channel(ChannelSpec()), Counter(), True).close()


def test_what_killed_emulators_left_is_swept_and_what_runs_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = Path(control_to_bind("1", insecure=False).removeprefix("ipc://")).parent
    for name in ("control-7", "control-7.lock", "control-9", "control-9.lock", "control-8", "control-8.lock"):
        (folder / name).touch()
        os.utime(folder / name, (0, 0))
    os.utime(folder / "control-8.lock")  # a minute has not passed
    for number in (7, 9):
        (folder / f"control-{number}").unlink()
    running = Claim(f"ipc://{folder}/control-9", "--control")
    os.utime(folder / "control-9.lock", (0, 0))
    control_to_bind("0", insecure=False)
    assert sorted(path.name for path in folder.iterdir()) == ["control-8", "control-8.lock", "control-9.lock"]
    running.release()


def test_a_check_of_the_port_says_what_the_start_would_and_leaves_nothing(
    context: zmq.Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for typed in ("0", "5557"):
        assert check_control(typed, insecure=False).startswith(f"ipc://{tmp_path}/semlink/control-")
        assert not list(tmp_path.iterdir())
    address = control_to_bind("5557", insecure=False)
    port = ControlPort(context, address, Channel(ChannelSpec()), Counter(), True)
    with pytest.raises(ConfigError, match=r"--control: cannot listen on .*: another process does; choose another"):
        check_control("5557", insecure=False)
    assert check_control("5558", insecure=False)
    assert sorted(path.name for path in (tmp_path / "semlink").iterdir()) == ["control-5557", "control-5557.lock"]
    port.close()


def test_no_file_is_put_aside_for_a_socket(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("years")
    with pytest.raises(ConfigError, match="is there and is no socket"):
        Claim(f"ipc://{tmp_path}/thesis", "--control")
    assert (tmp_path / "thesis").read_text() == "years"


@pytest.mark.parametrize("typed", ["tcp://127.0.0.1:5557", "tcp://[::1]:0", "0.0.0.0:5557", "*:5557", "192.0.2.1:5557"])
def test_a_port_on_the_network_must_be_meant(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"--control .*insecure=True"):
        control_to_bind(typed, insecure=False)
    assert control_to_bind(typed, insecure=True).startswith("tcp://")


@pytest.mark.parametrize("typed", ["", "x", "-1", "5557x", "1" * 10, "127.0.0.1:99999", "ipc://", "http://x:1", "a b"])
def test_what_is_no_place_for_it_is_named(typed: str) -> None:
    for meant in (control_to_bind, lambda text, _: control_to_ask(text)):
        with pytest.raises(ConfigError, match="--control"):
            meant(typed, True)


def test_set_and_status_as_typed(stem: Stem, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    here = {"XDG_RUNTIME_DIR": str(tmp_path)}
    flags = ["--listen", "0", "--control", "77", "--traces", str(tmp_path)]
    (tmp_path / "snr.csv").write_text("0,3\n100,4\n")
    emulator = stem.start("channel-emu", *flags, **here)
    assert f"control on ipc://{tmp_path}/semlink/control-77" in emulator.stderr.readline()
    said = {
        words: stem.run("channel-emu", *words.split(), **here)
        for words in ("set --control 77 --snr 12", "status --control 77", "set --control 77 --snr-trace snr.csv",
                      f"set --control 77 --snr-trace {tmp_path}/snr.csv", "set --control 77 --snr 999")
    }  # fmt: skip
    emulator.terminate()
    _, rest = emulator.communicate(timeout=60)
    codes = [done.returncode for done in said.values()]
    assert codes == [0, 0, 0, 2, 2], [done.stderr for done in said.values()]
    assert json.loads(said["status --control 77"].stdout)["channel"].startswith("SNR 12 dB")
    assert emulator.returncode == 0
    assert "Traceback" not in rest


# -- what it is asked


EXTREMES = [
    math.nan, math.inf, -math.inf, 0, -0.0, 1e308, -1e308, 5e-324, 2**63, 2**64 - 1, -(2**63), 1.5, True, None, "",
    "12", "\x1b[31m\n", "x" * 3000, b"\xff" * 50, [], [[]], {}, {"a": {}}, [1, "a"], {"snr_db": 1.0}, "../etc/passwd",
]  # fmt: skip
FIELDS = [*ChannelSpec.__dataclass_fields__]


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


def requests(count: int, seed: int) -> Iterator[bytes]:
    """Requests of the right structure with wrong things in it, and bytes of no structure."""
    random = np.random.default_rng(seed)

    def one_of(things: list[Any]) -> Any:
        return things[int(random.integers(len(things)))]

    for number in range(count):
        parameters = {one_of(FIELDS): one_of(EXTREMES) for _ in range(int(random.integers(1, 4)))}
        body: bytes = msgpack.packb(one_of([
            {"op": "set", "parameters": parameters}, {"op": "set", "parameters": one_of(EXTREMES)},
            {"op": one_of(EXTREMES)}, one_of(EXTREMES), {"op": "status", "more": one_of(EXTREMES)},
            {"op": "set", "parameters": {str(one_of(EXTREMES))[:99]: one_of(EXTREMES)}},
            {"op": "set", "parameters": {one_of([1, None, b"x", 1.5]): 1.0}},
        ]))  # fmt: skip
        if number % 5 == 0:
            at = int(random.integers(len(body)))
            body = body[:at] + random.bytes(int(random.integers(0, 5))) + body[at + int(random.integers(0, 3)) :]
        yield body
    deep = b"\x82\xa2op\xa3set\xaaparameters\x81\xa6snr_db"
    yield from (deep + nested(depth) for depth in (10, 400, 511, 900, 1024, 10_000))
    yield from (nested(16_000), b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc7\x00\x01", bytes(17_000), b"")
    yield struct.pack(">BI", 0xDB, 2**32 - 1)


def bombard(desk: Desk, count: int, seed: int) -> int:
    """Send requests; every one gets one answer of one line, and the channel goes on. How many it refused."""
    refused, x = 0, np.ones(4, np.complex64)
    for body in requests(count, seed):
        answer = desk.ask(body)
        refused += not answer["ok"]
        if not answer["ok"]:
            assert 0 < len(answer["error"]) <= 520
            assert answer["error"].isprintable()
        desk.channel.transform(1, 0, x)
    assert desk.ask({"op": "status"})["ok"]
    return refused


def test_any_request_gets_one_line(make_desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert bombard(make_desk(), 250, 0) > 150
    assert "control_request_failed" not in [record.message for record in caplog.records]  # each was foreseen


@pytest.mark.full
@pytest.mark.parametrize("framed", [True, False])
def test_thousands_of_requests_get_one_line_each(make_desk: Any, framed: bool) -> None:
    bombard(make_desk(framed=framed), 10_000, 1 + framed)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"coherence": math.inf}, "coherence inf is not a whole number"),
        ({"coherence": 1.5}, "coherence 1.5 is not a whole number"),
        ({"coherence": True}, "coherence True is not a whole number"),
        ({"snr_db": math.nan}, "snr_db nan is outside"),
        ({"snr_db": "5"}, "snr_db '5' is not a float"),
        ({"fading": 3}, "fading 3 is not a str"),
        ({"snr_db": [[1]]}, "snr_db list is not a float"),
        ({"doppler": 2**64 - 1}, "doppler 1.84467e+19 is outside"),
        ({"snr_trace": "x.csv"}, "snr_trace names a file: start channel-emu with --traces FOLDER"),
        ({"fading": "/etc/x.csv"}, "fading names a file"),
        ({"cir_trace": "/dev/zero", "fading": "trace"}, "cir_trace names a file"),
        ({"spectrum": "\0.csv"}, "spectrum names a file"),
    ],
)
def test_a_request_that_cannot_be_is_told_why(make_desk: Any, parameters: dict[str, Any], says: str) -> None:
    desk = make_desk(framed=False)
    answer = desk.set(**parameters)
    assert (answer["ok"], says in answer["error"]) == (False, True), answer
    assert desk.channel.spec == ChannelSpec(snr_db=20.0)


def test_a_request_socket_is_answered_too(make_desk: Any, context: zmq.Context) -> None:
    desk = make_desk()
    with context.socket(zmq.REQ) as asking:
        asking.linger = 0
        asking.connect(desk.port.address)
        asking.send(msgpack.packb({"op": "status"}))
        while not asking.poll(5):
            desk.port.serve()
        assert msgpack.unpackb(asking.recv())["ok"]


def test_a_status_of_very_many_sessions_can_be_read(tmp_path: Path, context: zmq.Context) -> None:
    desk, x = Desk(context, tmp_path), np.ones(1, np.complex64)
    for number in range(1100):
        desk.channel.transform(2**32 - 1 - number, 2**50, x, session=number.to_bytes(16))
    answer = desk.ask({"op": "status"})
    assert len(answer["streams"]) == len(answer["sessions"]) == 1024
    assert len(desk.set(snr_db=3.0)["applied"]) == 1024
    desk.client.close()
    desk.port.close()


def test_a_client_that_stays_makes_any_number_of_changes(make_desk: Any) -> None:
    desk = make_desk()
    for number in range(1000):
        assert desk.set(snr_db=float(number % 30))["ok"]


# -- what it reads


def write_traces(folder: Path) -> None:
    (folder / "snr.csv").write_text("0,3\n1000,9\n")
    np.savez(folder / "cir.npz", h=np.array([1.0, 2.0, 1.0], np.complex64), interval=100.0)
    (folder / "profile.csv").write_text("0,0\n1000,-3\n")
    (folder / "nonsense.csv").write_text("words,words\n")


def test_files_of_the_folder_can_be_named(make_desk: Any, tmp_path: Path) -> None:
    write_traces(tmp_path)
    desk = make_desk(traces=tmp_path, framed=False)
    assert desk.set(snr_trace="snr.csv")["ok"]
    assert desk.channel.truth(0, 1000, np.ones(1, np.complex64)).snr_inst_db == pytest.approx(9.0)
    assert desk.set(cir_trace="cir.npz", fading="trace", snr_trace="")["ok"]
    assert desk.channel.fading(0, 100, 1)[0] == pytest.approx(2.0)
    assert desk.set(cir_trace="", fading="profile.csv", rate=1e6)["ok"]
    (tmp_path / "snr.csv").write_text("0,5\n1000,5\n")  # measured again
    assert desk.set(snr_trace="snr.csv", fading="none")["ok"]
    assert desk.channel.truth(0, 1000, np.ones(1, np.complex64)).snr_inst_db == pytest.approx(5.0)


def test_whatever_lies_in_the_folder_the_port_lives_on(make_desk: Any, tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    traces.mkdir()
    write_traces(traces)
    (tmp_path / "secret.csv").write_text("0,3\n1000,9\n")
    (traces / "link.csv").symlink_to(tmp_path / "secret.csv")
    (traces / "folder.csv").mkdir()
    os.mkfifo(traces / "fifo.csv")
    with (traces / "large.csv").open("wb") as file:
        file.truncate(17 << 20)
    (traces / "wide.csv").write_text("0," + "1" * 200_000 + "\n")
    desk = make_desk(traces=traces)
    names = [
        "missing.csv", "../secret.csv", f"{tmp_path}/secret.csv", "..", ".", ".hidden.csv", "a\0.csv", "link.csv",
        "folder.csv", "fifo.csv", "large.csv", "wide.csv", "nonsense.csv", "x" * 300 + ".csv", "snr.csv/",
        "\u202e.csv",
    ]  # fmt: skip
    for name in names:
        answer = desk.set(snr_trace=name)
        assert not answer["ok"], name
        assert len(answer["error"]) < 520
        assert answer["error"].isprintable()
    asked = (f"{tmp_path}/secret.csv", "/no/such.csv")
    outside = {desk.set(snr_trace=name)["error"].partition(": ")[2] for name in asked}
    assert len(outside) == 1  # one cannot tell whether a file is there
    assert desk.set(snr_trace="snr.csv")["ok"]


def test_while_a_file_is_read_the_channel_and_the_port_go_on(
    make_desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_traces(tmp_path)
    desk = make_desk(traces=tmp_path)
    monkeypatch.setattr("common.channel.models.materials.SnrTrace", lambda path: time.sleep(0.3))
    desk.client.send(msgpack.packb({"op": "set", "parameters": {"snr_trace": "snr.csv"}}))
    while not desk.port._reading:
        desk.port.serve()
    assert desk.ask({"op": "status"})["ok"]
    assert "is being read; ask again" in desk.set(snr_trace="snr.csv")["error"]
    assert desk.set(snr_db=3.0)["ok"]
    while not desk.client.poll(5):
        desk.port.serve()
    assert msgpack.unpackb(desk.client.recv())["ok"]


GOOD: dict[str, dict[str, Any]] = {
    "set": {"channel": "c", "applied": [[0, 2**53 + 9]], "sessions": ["ab"]},
    "status": {"channel": "c", "streams": [[0, 1]], "sessions": ["ab"], "counts": {"data": 1}, "uptime_s": 1.0},
}
ODD = [5, True, math.nan, b"x", "x", [], [1], [[1]], [[0, 1.0]], [["a", 1]], {}, {"a": "b"}, {"a": [[0, 1]]}, None]
RIGHT = {"channel": ["x"], "applied": [[]], "streams": [[]], "sessions": [[], None], "counts": [{}],
         "uptime_s": [5]}  # fmt: skip


@pytest.mark.parametrize("op", GOOD)
def test_an_answer_of_somebody_who_is_no_emulator_is_told_in_one_line(context: zmq.Context, op: str) -> None:
    """They were tracebacks of `channel-emu set` and `channel-emu status`."""
    with context.socket(zmq.ROUTER) as stranger, closing(ControlClient(_bound(stranger))) as client:
        stranger.linger = 0

        def say(answer: dict[str, Any]) -> dict[str, Any]:
            lines = threading.Thread(target=lambda: stranger.send_multipart([*stranger.recv_multipart()[:1], packed]))
            packed = msgpack.packb({"ok": True, **answer})
            lines.start()
            try:
                return client.ask({"op": op})
            finally:
                lines.join()

        assert say({**GOOD[op], "later": b"field"})
        for name in GOOD[op]:
            for odd in ODD:
                if any(type(odd) is type(right) and odd == right for right in RIGHT[name]):
                    assert say({**GOOD[op], name: odd})
                else:
                    with pytest.raises(ConfigError, match=f"is no emulator: its {name} is none"):
                        say({**GOOD[op], name: odd})


def _bound(socket: zmq.Socket) -> str:
    socket.bind("tcp://127.0.0.1:0")
    return socket.getsockopt_string(zmq.LAST_ENDPOINT)
