"""The commands as typed where only what semlink[edge] brings can be imported: no torch, scikit-learn or pyarrow."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.lab.processes import Command, start_emulator, start_receiver

pytestmark = pytest.mark.cold
ABSENT = ("torch", "sklearn", "pyarrow", "transformers", "scipy", "onnx", "matplotlib", "prometheus_client")


@pytest.fixture(autouse=True)
def without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of these names are first on the path of whatever is started, and whoever imports one fails."""
    for name in ABSENT:
        package = tmp_path / "path" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    monkeypatch.delenv("SCTX_BACKEND", raising=False)
    rest = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path / "path"), rest])))


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """That of an emulator before a receiver, which is given the flags of the test."""
    receiver, upstream = start_receiver(*request.param)
    with receiver:
        emulator, port = start_emulator(upstream, "--snr", "10", "--seed", "3")
        with emulator:
            yield port
        assert receiver.stop() == 0, receiver.said


@pytest.mark.parametrize("port", [(), pytest.param(("--workers", "2"), marks=pytest.mark.full)], indirect=True)
def test_the_digits_pass_without_torch(port: int) -> None:
    with Command("sctx", "--peer", f"127.0.0.1:{port}", "--json") as transmitter:
        *answers, summary = map(json.loads, transmitter.lines())
        assert transmitter.wait(30) == 0, transmitter.said
    assert "sctx: encodes by onnx" in transmitter.said
    assert (len(answers), summary["summary"]["labelled"]) == (360, 360)
    assert summary["summary"]["correct"] >= 350


@pytest.mark.full
@pytest.mark.parametrize("port", [("--model", "cifar10")], indirect=True)
def test_photographs_pass_without_torch(port: int, tmp_path: Path) -> None:
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (90, 120, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg")
    flags = ("--model", "cifar10", "--source", str(tmp_path), "--json")
    with Command("sctx", "--peer", f"127.0.0.1:{port}", *flags) as transmitter:
        *answers, _ = map(json.loads, transmitter.lines())
        assert transmitter.wait(30) == 0, transmitter.said
    assert len(answers) == 3


def test_a_pair_without_graphs_needs_torch_to_send_and_says_what_makes_them(tiny_pair: Path, tmp_path: Path) -> None:
    pair = shutil.copytree(tiny_pair, tmp_path / "pair", ignore=shutil.ignore_patterns("*.onnx"))
    with Command("sctx", "--peer", "127.0.0.1:9", "--model", str(pair), "--backend", "onnx") as ran:
        assert ran.process.wait(30) == 1
        ran.wait_for(r"(?m)^error: .*encoder\.onnx is not there, and the backend onnx runs it: `"
                     r"python -m training\.export --pair .*` makes it, after `pip install '\.\[export\]'`")  # fmt: skip
    assert "Traceback" not in ran.said


def test_a_receiver_needs_neither_torch_nor_graphs(tiny_pair: Path) -> None:
    receiver, _ = start_receiver("--model", str(tiny_pair))
    with receiver:
        assert receiver.stop() == 0, receiver.said
