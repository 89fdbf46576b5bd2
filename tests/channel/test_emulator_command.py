"""`channel-emu` as typed: starts without torch, stops cleanly, and says in one line what is wrong."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EMULATOR = [sys.executable, "-c", "from common.channel.cli import main; main()"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EMULATOR, *words], capture_output=True, text=True, timeout=30, env={**os.environ, **environment}
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--snr", "abc"], "abc"),
        (["--snr", "nan"], "snr_db nan is outside"),
        (["--fading", "rain"], "'rain' is none of none, block-rayleigh"),
        (["--doppler", "-1"], "doppler -1 is outside 0 to 0.5"),
        (["--fading", "rician", "--k-factor", "-2"], "--k-factor -2 is outside 0"),
        (["--speed", "3"], "--speed needs --carrier and --rate"),
        (["--spectrum", "none.csv", "--fading", "rayleigh"], "none.csv cannot be read"),
        (["--drop", "2"], "drop 2 is outside 0 to 1"),
        (["--listen", "0.0.0.0:5556"], "--insecure"),
        (["--upstream", "nowhere"], "--upstream"),
        (["--unknown"], "--unknown"),
        (["--truth", "/nonexistent/file"], "--truth"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(words: list[str], says: str) -> None:
    done = run("--listen", "0", *words) if "--listen" not in words else run(*words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "rror" in line]) == 1


def test_a_port_that_is_taken_is_one_line_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = run("--listen", str(server.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_what_it_does_and_stops_cleanly(number: int) -> None:
    process = subprocess.Popen(
        [*EMULATOR, "--snr", "5", "--fading", "rayleigh", "--listen", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    head = [process.stderr.readline() for _ in range(2)]
    process.send_signal(number)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.search(r"listening on tcp://127\.0\.0\.1:\d+, forwarding to tcp://127\.0\.0\.1:5555", head[0])
    assert "SNR 5 dB, fading rayleigh" in head[1]
    assert "stopped after" in rest


def test_settings_come_from_flags_then_environment_then_file(tmp_path: Path) -> None:
    file = tmp_path / "emu.toml"
    file.write_text('snr = 3.0\nfading = "rician"\ndoppler = 0.25\n')
    done = run(
        "--config", str(file), "--print-config", "--snr", "7",
        CHANNEL_EMU_SNR="5", CHANNEL_EMU_FADING="rayleigh",
    )  # fmt: skip
    assert done.returncode == 0
    for line in ("snr = 7.0", "fading = 'rayleigh'", "doppler = 0.25", "seed = 0"):
        assert line in done.stdout


def test_starting_does_not_import_torch_or_scipy() -> None:
    probe = (
        "import sys; import common.channel.proxy, common.channel.cli; "
        "print(sorted(m for m in ('torch', 'scipy', 'sigmf') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "[]"
