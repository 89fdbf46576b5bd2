"""`channel-emu` as typed: starts without torch, stops cleanly, and says in one line what is wrong."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common.channel.spec.parameters import from_flags
from common.channel.spec.spec import CHANNEL, ChannelSpec, channel_parameters
from common.channel.spec.ways import FEEDBACK, TRANSIT, FeedbackSpec, TransitSpec
from common.errors import ConfigError
from tests.warm import Stem

EMULATOR = ["channel-emu", "--control", "0"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--snr", "abc"], "abc"),
        (["--snr", "nan"], "--snr nan is outside"),
        (["--fading", "rain"], "'rain' is none of none, block-rayleigh"),
        (["--doppler", "-1"], "--doppler -1 is outside 0 to 0.5"),
        (["--fading", "rician", "--k-factor", "-2"], "--k-factor -2 is outside 1e-6"),
        (["--fading", "rician", "--k-factor", "1e-7"], "--k-factor 1e-07 is outside 1e-6"),
        (["--speed", "300", "--carrier", "1e9", "--rate", "1e3"], "--speed 300 m/s makes"),
        (["--speed", "3"], "--speed needs --carrier and --rate"),
        (["--spectrum", "none.csv", "--fading", "rayleigh"], "none.csv cannot be read"),
        (["--drop", "2"], "--drop 2 is outside 0 to 1"),
        (["--return-drop", "2"], "--return-drop 2 is outside 0 to 1"),
        (["--feedback-loss", "2"], "--feedback-loss 2 is outside 0 to 1"),
        (["--feedback-low", "40"], "--feedback-low 40 must be below"),
        (["--feedback-high", "101"], "--feedback-high 101 is outside"),
        (["--listen", "0.0.0.0:5556"], "--insecure"),
        (["--upstream", "nowhere"], "--upstream"),
        (["--unknown"], "--unknown"),
        (["--truth", "/nonexistent/file"], "--truth"),
        (["--fading", "tdl-a", "--rate", "1e6"], "raw wire only (`channel-emu --wire cf32`)"),
        (["--fading", "tdl-a"], "--fading tdl-a (several delays) works on a raw wire only"),
        (["--fading", "tdl-a", "--rate", "-1"], "--fading tdl-a (several delays) works on a raw wire only"),
        (["--fading", "eva", "--rate", "1e6", "--doppler", "0.4"], "--fading eva (several delays) works on a raw wire"),
        (["--cfo", "7"], "--cfo 7 works on a raw wire only"),
        (["--wire", "cf32", "--cfo", "7"], "--cfo 7 is outside"),
        (["--wire", "cf32", "--listen", "0.0.0.0:6000"], "without encryption; say --insecure to allow that\n"),
        (["--cfo", "0.01"], "--cfo 0.01 works on a raw wire only (`channel-emu --wire cf32`)"),
        (["--wire", "cf32", "--fading", "tdl-a"], "give the rate"),
        (["--wire", "cf32", "--fading", "tdl-a", "--rate", "1e6", "--delay-spread", "-1e-9"], "--delay-spread -1e-09"),
        (["--wire", "cf32", "--drop", "0.1"], "a raw wire (--wire cf32) has none"),
        (["--wire", "cf32", "--feedback-bits", "6"], "--feedback-bits: about frames"),
        (["--schedule", "missing.csv"], "missing.csv cannot be read"),
        (["--snr-trace", "missing.csv"], "missing.csv cannot be read"),
        (["--record", "/nonexistent/file"], "--record"),
        (["--replay", "/nonexistent/file"], "--replay"),
        (["--control", "0.0.0.0:5557"], "without encryption; say --insecure to allow that\n"),
        (["--listen", "5556", "--upstream", "localhost:5556"], "this emulator itself listens there"),
        (["--wire", "cf32", "--listen", "6000", "--upstream", "127.0.0.1:6000"], "this emulator itself listens there"),
        (["--wire", "cf32", "--listen", "6000", "--upstream", "@6000"], "this is the address of"),
        (["--hop", "1"], "--hop: for a raw wire"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(stem: Stem, words: list[str], says: str) -> None:
    listen = [] if "--listen" in words else ["--listen", "0"]
    done = stem.run(*EMULATOR, *listen, *words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "rror" in line]) == 1


def test_a_port_that_is_taken_is_one_line_and_exit_2(stem: Stem) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = stem.run(*EMULATOR, "--listen", str(server.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_does_and_stops_cleanly(number: int) -> None:
    script = Path(sys.executable).with_name("channel-emu")
    words = [script, "--snr", "5", "--fading", "rayleigh", "--listen", "0", "--control", "0"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    head = [process.stderr.readline() for _ in range(2)]
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(r"listening on tcp://127\.0\.0\.1:\d+, forwarding to tcp://127\.0\.0\.1:5555", head[0])
    assert "SNR 5 dB, fading rayleigh" in head[1]
    assert "stopped after" in rest


def test_settings_come_from_flags_then_environment_then_file(stem: Stem, tmp_path: Path) -> None:
    file = tmp_path / "emu.toml"
    file.write_text('snr = 3.0\nfading = "rician"\ndoppler = 0.25\n')
    done = stem.run(
        *EMULATOR, "--config", str(file), "--print-config", "--snr", "7",
        CHANNEL_EMU_SNR="5", CHANNEL_EMU_FADING="rayleigh",
    )  # fmt: skip
    assert done.returncode == 0
    for line in ("snr = 7.0", "fading = 'rayleigh'", "doppler = 0.25", "seed = 0"):
        assert line in done.stdout


def test_starting_does_not_import_torch_or_scipy() -> None:
    probe = (
        "import sys; import common.channel.wire.proxy, common.channel.cli; "
        "print(sorted(m for m in ('torch', 'scipy', 'sigmf') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_flags_have_the_defaults_of_the_channel() -> None:
    assert ChannelSpec(**channel_parameters({one.variable: one.typed for one in CHANNEL.values()})) == ChannelSpec()
    for spec, parameters in ((TransitSpec, TRANSIT), (FeedbackSpec, FEEDBACK)):
        assert spec(**from_flags({one.variable: one.typed for one in parameters}, parameters)) == spec()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"speed": 1e30}, "--speed 1e\\+30 must be 0 m/s or more, and less than that of light"),
        ({"speed": -1.0}, "--speed -1 must be 0 m/s or more"),
        ({"carrier": 1e16}, "--carrier 1e\\+16 must be above 0 and below 1e15 Hz"),
    ],
)
def test_what_is_no_speed_says_what_is_one(given: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        channel_parameters({"speed": 30.0, "carrier": 1e9, "rate": 1e6} | given)


def test_speed_makes_doppler() -> None:
    found = channel_parameters({"speed": 30.0, "carrier": 2.6e9, "rate": 1.92e6})
    assert found["doppler"] == pytest.approx(1.3551e-4, rel=1e-4)


def test_set_and_status_speak_to_a_running_emulator(stem: Stem) -> None:
    process = stem.start(*EMULATOR, "--snr", "5", "--listen", "0")
    address = re.search(r"control on (ipc://\S+)", process.stderr.readline())
    assert address
    changed = stem.run("channel-emu", "set", "--control", address[1], "--snr", "12", "--doppler", "0.001")
    refused = stem.run("channel-emu", "set", "--control", address[1], "--snr", "999")
    empty = stem.run("channel-emu", "set", "--control", address[1])
    shown = stem.run("channel-emu", "status", "--control", address[1])
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert changed.stdout.strip() == "SNR 12 dB, fading none, doppler 0.001"
    assert (refused.returncode, empty.returncode) == (2, 2)
    assert "--snr 999 is outside" in refused.stderr
    assert "at least one parameter" in empty.stderr
    assert json.loads(shown.stdout)["channel"] == "SNR 12 dB, fading none, doppler 0.001"
