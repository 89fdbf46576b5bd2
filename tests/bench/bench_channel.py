"""Speed of the channel: models as functions, the process over ipc, latency; beside GNU Radio and kaira in one run.

Absolute figures depend on the machine and are printed; what is asserted are ratios, where GNU Radio is installed.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import zmq

from tests.bench.results import Recorder, percentile_99

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
GNURADIO_CHANNEL = HERE.parents[1] / "deploy" / "gnuradio" / "channel.py"
EMULATOR = [sys.executable, "-c", "from common.channel.cli import main; main()"]
ROUNDS = 3
ONE_THREAD = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}

Tell = Callable[[str], None]


def python_of_gnuradio() -> str | None:
    for name in ("/usr/bin/python3", shutil.which("python3")):
        if name and Path(name).exists():
            found = subprocess.run([name, "-c", "from gnuradio import gr, zeromq"], capture_output=True, timeout=60)
            if found.returncode == 0:
                return name
    return None


def as_json(*words: str) -> dict[str, dict]:
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600, env=ONE_THREAD)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_models_as_functions(tell: Tell, figures: Recorder, tmp_path: Path) -> None:
    radio_python = python_of_gnuradio()
    runs, radio = [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy minute of the machine meets both
        runs.append(as_json(sys.executable, str(HERE / "channel_kernels.py"), str(tmp_path), "0.25"))
        if radio_python:
            radio.append(as_json(radio_python, str(HERE / "gnuradio_blocks.py"), "1"))

    def speed(name: str, rates: Sequence[float]) -> float:
        return figures.add(f"{name}, a function", "Ms/CPU-s", rates, better="more").value

    sizes = "1024", "4096", "65536"
    ours = {
        (name, size): speed(f"{name} {size}", [run["ours"][name][size] for run in runs])
        for name in runs[0]["ours"]
        for size in sizes
    }
    tell("\nMs/s per CPU-second (median of 3)    1024    4096   65536")
    for name in runs[0]["ours"]:
        tell(f"{name:<34}" + "".join(f"{ours[name, size]:8.1f}" for size in sizes))
    for name in runs[0]["kaira"]:
        tell(f"kaira {name:<36}{speed(f'kaira {name}', [run['kaira'][name] for run in runs]):8.1f}")
    if not runs[0]["kaira"]:
        tell("kaira cannot be imported: not compared")
    if not radio:
        pytest.skip("GNU Radio is not installed: no ratios")
    theirs = {name: speed(f"GNU Radio {name}", [run[name] for run in radio]) for name in radio[0]}
    for name, rate in theirs.items():
        tell(f"GNU Radio {name:<24}{rate:16.2f}")
    missed = []
    for ident, mine, size, block, target in (
        ("C1", "awgn", "4096", "awgn", 3),
        ("C2", "rayleigh 1e-3", "4096", "rayleigh", 15),
        ("C3", "tdl 12 whole", "4096", "tdl 12 filter taps", 60),
        ("C3", "tdl 12 fraction", "4096", "tdl", 60),
        ("C3", "tdl 12 fraction", "65536", "tdl", 60),
    ):
        ratio = ours[mine, size] / theirs[block]
        tell(f"{ident} {mine} at {size} over GNU Radio's {block}: {ratio:.1f}x (target {target}x)")
        if ratio < target:
            missed.append(f"{ident} {mine} at {size}: {ratio:.1f}x instead of {target}x")
    assert not missed


FEEDER = """
import sys, zmq
address, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
context = zmq.Context()
source = context.socket(zmq.PUSH)
source.bind(address)
frame = bytes(8 * size)
for _ in range(count):
    source.send(frame)
source.close(20_000)
context.term()
"""


class Harness:
    """A process between two ipc addresses, with the receiver here; GNU Radio holds back up to `slack` samples."""

    def __init__(self, folder: Path, words: list[str], slack: int) -> None:
        self._context = zmq.Context()
        self._into = f"ipc://{folder}/in"
        self._sink = self._context.socket(zmq.PULL)
        self._sink.connect(f"ipc://{folder}/out")
        self._process = subprocess.Popen(words, stderr=subprocess.DEVNULL, env=ONE_THREAD)
        self._slack = slack

    def _receive(self, samples: int) -> int:
        got = 0
        while got < samples:
            assert self._sink.poll(30_000), "the process does not answer"
            got += len(self._sink.recv()) // 8
        return got

    def _cpu_s(self) -> float:
        """CPU seconds that the process has used, all threads counted (Linux)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rate(self, size: int, samples: int) -> tuple[float, float]:
        """Ms/s by the wall clock, and per CPU-second of the process, of a saturating stream of frames.

        A process of its own sends them; the first and the last tenth are left out.
        """
        count = max(20, samples // size)
        with subprocess.Popen([sys.executable, "-c", FEEDER, self._into, str(size), str(count)]) as feeder:
            try:
                got = self._receive(count * size // 10)
                begun, begun_cpu = time.perf_counter(), self._cpu_s()
                measured = self._receive(count * size * 9 // 10 - got) / 1e6
                return measured / (time.perf_counter() - begun), measured / (self._cpu_s() - begun_cpu)
            finally:
                feeder.terminate()

    def latency_us(self, size: int, count: int) -> list[float]:
        """Send to receive, one frame in flight."""
        source = self._context.socket(zmq.PUSH)
        source.linger = 0
        source.bind(self._into)
        frame, times, behind = bytes(8 * size), [], 0
        for _ in range(count):
            begun = time.perf_counter()
            source.send(frame)
            behind += size
            behind -= self._receive(behind - self._slack)
            times.append((time.perf_counter() - begun) * 1e6)
        source.close()
        return times[50:]

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
            self._context.destroy(0)


MODELS = {
    "pass": ["--snr", "inf"],
    "awgn": [],
    "rayleigh": ["--fading", "rayleigh", "--doppler", "1e-3"],
    "tdl": ["--fading", "eva", "--rate", "30.72e6", "--doppler", "1e-4"],
}


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Harness]]:
    radio_python = python_of_gnuradio()
    opened: list[Harness] = []

    def make(who: str, model: str) -> Harness:
        folder = tmp_path_factory.mktemp("wire")
        into, out = f"ipc://{folder}/in", f"ipc://{folder}/out"
        if who == "ours":
            wire = ["--wire", "cf32", "--control", "0", "--listen", f">{into}", "--upstream", f"@{out}"]
            opened.append(Harness(folder, [*EMULATOR, *wire, *MODELS[model]], 0))
            return opened[-1]
        if radio_python is None:
            pytest.skip("GNU Radio is not installed: nothing to compare the process with")
        doppler = "1e-4" if model == "tdl" else "1e-3"
        words = [radio_python, str(GNURADIO_CHANNEL), "--in", into, "--out", out]
        opened.append(Harness(folder, [*words, "--model", model, "--doppler", doppler], 64))
        return opened[-1]

    yield make
    for harness in opened:
        harness.close()


def test_whole_process_over_ipc(tell: Tell, figures: Recorder, start: Callable[[str, str], Harness]) -> None:
    targets = {("awgn", 1024): 2, ("awgn", 16384): 2, ("rayleigh", 1024): 3, ("rayleigh", 16384): 10,
               ("tdl", 1024): 15, ("tdl", 16384): 40}  # fmt: skip
    missed = []
    tell("\nwhole process over ipc, Ms/s (median of 3)    wall: ours  GNU Radio  ratio  target"
         "    CPU: ours  GNU Radio  ratio")  # fmt: skip
    for model in MODELS:
        found: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(ROUNDS):
            for who in ("ours", "gnuradio"):
                for size in (1024, 16384):
                    amount = {"pass": 2e7, "awgn": 2e7, "rayleigh": 1e7, "tdl": 4e6}[model]
                    if who == "gnuradio":
                        amount /= {"pass": 1, "awgn": 2, "rayleigh": 6, "tdl": 16}[model]
                    harness = start(who, model)
                    found.setdefault((who, size), []).append(harness.rate(size, int(amount)))
                    harness.close()
        for size in (1024, 16384):
            wall, cpu = (
                [
                    figures.add(
                        f"C4 {model} {size} {who}, {clock}", unit, [run[k] for run in found[who, size]], better="more"
                    ).value
                    for who in ("ours", "gnuradio")
                ]
                for k, (clock, unit) in enumerate((("wall", "Ms/s"), ("CPU", "Ms/CPU-s")))
            )
            target, ratio = targets.get((model, size)), wall[0] / wall[1]
            tell(f"C4 {model:<9} frames of {size:<6}{wall[0]:29.1f}{wall[1]:11.2f}{ratio:7.1f}{target or '-':>8}"
                 f"{cpu[0]:13.1f}{cpu[1]:11.2f}{cpu[0] / cpu[1]:7.1f}")  # fmt: skip
            if target and ratio < target:
                missed.append(f"{model} at {size}: {ratio:.1f}x instead of {target}x")
    assert not missed


def test_latency_of_one_frame(tell: Tell, figures: Recorder, start: Callable[[str, str], Harness]) -> None:
    tell("\nlatency of a 1024-symbol frame through the process, one in flight, us     p50    p99")
    medians: dict[tuple[str, str], float] = {}
    for model in ("pass", "awgn", "rayleigh"):
        found: dict[str, list[list[float]]] = {"ours": [], "gnuradio": []}
        for _ in range(ROUNDS):
            for who in found:
                harness = start(who, model)
                found[who].append(harness.latency_us(1024, 1000))
                harness.close()
        for who, times in found.items():
            p50 = medians[who, model] = figures.add(f"C5 {model} {who} p50", "us", times).value
            p99 = figures.add(f"C5 {model} {who} p99", "us", times, percentile_99).value
            tell(f"C5 {model:<9}{who:<50}{p50:19.0f}{p99:7.0f}")
    ratio = medians["ours", "awgn"] / medians["gnuradio", "awgn"]
    tell(f"C5 awgn p50 over GNU Radio's: {ratio:.2f} (target 0.7)")
    assert ratio <= 0.7
