"""The raw wire carries a real GNU Radio flowgraph: same samples as the kernel gives."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Channel

EXAMPLES = Path(__file__).parents[2] / "deploy" / "gnuradio"


def python_of_gnuradio() -> str | None:
    """A Python that can import GNU Radio, which Debian installs for its own."""
    for name in ("/usr/bin/python3", shutil.which("python3")):
        if name and Path(name).exists():
            found = subprocess.run([name, "-c", "from gnuradio import gr, zeromq"], capture_output=True, timeout=60)
            if found.returncode == 0:
                return name
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_flowgraph_sends_through_the_emulator(tmp_path: Path) -> None:
    python = python_of_gnuradio()
    if python is None:
        pytest.skip("GNU Radio is not installed (Debian: apt-get install gnuradio)")
    count, out = 200_000, tmp_path / "received.cf32"
    to_emulator, from_emulator = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))
    emulator = subprocess.Popen(
        [sys.executable, "-c", "from common.channel.cli import main; main()", "--wire", "cf32", "--control", "0",
         "--listen", f">{to_emulator}", "--upstream", f"@{from_emulator}", "--snr", "5", "--fading", "rayleigh"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        subprocess.run(
            [python, str(EXAMPLES / "through_emulator.py"), "--samples", str(count), "--out", str(out),
             "--to-emulator", to_emulator, "--from-emulator", from_emulator],
            check=True, timeout=60, capture_output=True,
        )  # fmt: skip
    finally:
        emulator.send_signal(signal.SIGTERM)
        _, said = emulator.communicate(timeout=60)
    assert re.search(rf"samples {count}\b", said), said
    y = np.fromfile(out, np.complex64)
    bits = np.random.default_rng(0).integers(0, 2, (4096, 2)) * 2 - 1
    x = np.resize(((bits[:, 0] + 1j * bits[:, 1]) / 2**0.5).astype(np.complex64), count)
    expected = Channel(ChannelSpec(snr_db=5.0, fading="rayleigh")).transform(0, 0, x)
    assert y.size == count
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["through_emulator.py", "channel.py"])
def test_the_examples_parse_where_gnuradio_is_not_installed(name: str) -> None:
    compile((EXAMPLES / name).read_text(), name, "exec")
