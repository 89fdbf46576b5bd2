"""A small untrained pair and the real processes around it. Link behaviour does not depend on what the model answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.pair.shapes import Accuracy, EncoderShape
from common.phy.layout import Layout
from tests.model import pairs
from training.export.tracing import export
from training.lab.processes import Command, start_emulator, start_receiver

GRID = tuple(float(snr) for snr in range(-10, 31, 2))


def make_pair(folder: Path, seed: int, graphs: bool) -> Path:
    """An untrained pair whose accuracy table makes fewer symbols do at higher SNR."""
    acc = tuple(tuple(min(0.98, 0.5 + 0.08 * k + 0.02 * (snr + 10)) for snr in GRID) for k in range(5))
    layout = Layout((2, 2, 4, 8, 16), pilots=8)
    pair = pairs.tiny_pair(folder, seed, EncoderShape(width=8), layout, Accuracy(GRID, acc, 0.98))
    if graphs:
        export(pair)
    return pair.path


@pytest.fixture(scope="session")
def graphs(pytestconfig: pytest.Config) -> bool:
    """Whether pairs have them; without, torch encodes."""
    return pytestconfig.getoption("--backend") == "onnx"


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory, graphs: bool) -> Path:
    """A folder with an untrained pair."""
    return make_pair(tmp_path_factory.mktemp("pair") / "tiny", 0, graphs)


@pytest.fixture(scope="session")
def other_pair(tmp_path_factory: pytest.TempPathFactory, graphs: bool) -> Path:
    """Another pair: same shape, other weights, so another model id."""
    return make_pair(tmp_path_factory.mktemp("pair") / "other", 1, graphs)


Start = Callable[..., Command]


@pytest.fixture(autouse=True)
def quick(warm: None, one_thread: None) -> None:
    """Commands find torch loaded, and the small networks do not hand over between threads."""


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("sctx", ...)` runs a command; whatever still runs at the end of the test is stopped."""
    running: list[Command] = []

    def begin(name: str, *arguments: str) -> Command:
        running.append(Command(name, *arguments))
        return running[-1]

    yield begin
    for command in running:
        command.stop()


@pytest.fixture
def chain(tiny_pair: Path) -> Iterator[Callable[..., int]]:
    """`chain("--snr", "10")` starts a receiver and an emulator before it, and returns the emulator's port."""
    running: list[Command] = []

    def begin(*flags: str) -> int:
        receiver, upstream = start_receiver("--model", str(tiny_pair))
        running.append(receiver)
        emulator, port = start_emulator(upstream, *flags)
        running.append(emulator)
        return port

    yield begin
    for command in reversed(running):
        assert command.stop() == 0, f"{command.name}: {command.said}"
