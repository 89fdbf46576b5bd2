"""The shipped pair for photographs, as a user of cameras and folders starts it: any size, any mode, three processes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.pair.manifest import find_pair
from training.lab.processes import Command, start_emulator, start_receiver

MODES = {"colour.jpg": "RGB", "grey.png": "L", "palette.png": "P", "alpha.png": "RGBA", "print.jpg": "CMYK"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photograph per mode, each of another size."""
    random = np.random.default_rng(0)
    for number, (name, mode) in enumerate(MODES.items()):
        blocks = random.integers(0, 256, (6, 8 + number, 3), np.uint8)
        picture = Image.fromarray(blocks).resize((40 + 90 * number, 200 - 35 * number), Image.Resampling.BICUBIC)
        picture.convert(mode).save(tmp_path / name)
    return tmp_path


def test_photographs_of_any_size_and_mode_are_answered(folder: Path, start: Callable[..., Command]) -> None:
    receiver, upstream = start_receiver("--model", "cifar10")
    emulator, port = start_emulator(upstream, "--snr", "10")
    try:
        sender = start("sctx", "--model", "cifar10", "--source", str(folder), "--peer", f"127.0.0.1:{port}", "--json")
        *answers, last = [json.loads(line) for line in sender.lines()]
        assert sender.wait(60) == 0, sender.said
    finally:
        assert emulator.stop() == 0
        assert receiver.stop() == 0
    assert last["summary"]["answered"] == len(answers) == len(MODES)
    assert sorted(item["index"] for item in answers) == list(range(len(MODES)))
    assert {item["answer"] for item in answers} <= set(range(len(find_pair("cifar10").labels)))
