"""`kill -9` at ten random moments, from the teacher to the written pair, changes nothing in what is made."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.training.test_distill import TINY

KILLS = 10
RECIPE = TINY.replace("views = 2", "views = 100").replace("epochs = 1\n", "epochs = 200\n").replace(
    "epochs = 2\n", "epochs = 100\n"
)  # fmt: skip
EMBEDDED = (
    RECIPE.replace("views = 100\n", 'views = 100\nencoding = "top4"\nembedding = 8\n') + "[loss]\nembedding = 1.0\n"
)
BEGIN = """
import sys
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification
import training.knowledge.generate, training.loop.fit
import training.distillation.measure, training.teachers.pretrain
from training.distill import main
training.loop.fit.CHECKPOINT_S = 0.2  # a life is seconds long here, not hours
sys.argv[0] = "distill"
print("begun", flush=True)
main(obj={})
"""


@contextmanager
def running(folder: Path, recipe: str) -> Iterator[subprocess.Popen[str]]:
    """The real process, after its imports; waited for at the end."""
    folder.mkdir(exist_ok=True)
    (folder / "tiny.toml").write_text(recipe)
    command = [sys.executable, "-c", BEGIN, "--recipe", "tiny.toml"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n", (folder / "log").read_text()[-2000:]
        yield process


def made(folder: Path) -> dict[str, str]:
    """SHA-256 of teacher, store and pair."""
    parts = ("build/teachers/tiny/*.safetensors", "build/stores/*/**/*", "build/pairs/tiny/*")
    files = sorted(path for part in parts for path in folder.glob(part) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stage(folder: Path) -> str:
    """What was being made, by what is there."""
    for name, path in (
        ("student", "build/runs/tiny"), ("store", "build/stores"), ("teacher", "build/teachers"),
    ):  # fmt: skip
        if (folder / path).exists():
            return name
    return "beginning"


@pytest.mark.full  # a dozen interpreters load torch
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("seed", "recipe"), [(0, RECIPE), (1, EMBEDDED)], ids=["answers", "embeddings"])
def test_ten_kills_at_random_change_nothing(tmp_path: Path, seed: int, recipe: str) -> None:
    with running(tmp_path / "whole", recipe) as process:
        began = time.monotonic()
        assert process.wait(300) == 0
        whole_s = time.monotonic() - began
    lives, hit, rounds = random.Random(seed), [], 0
    while len(hit) < KILLS:  # over several makings, if one ends before it has been killed often enough
        rounds += 1
        folder, ended = tmp_path / f"killed-{rounds}", False
        while not ended:
            with running(folder, recipe) as process:
                try:
                    patience = lives.uniform(0.0, 0.6 * whole_s) if len(hit) < KILLS else 300.0
                    assert process.wait(patience) == 0
                    ended = True
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    hit.append(stage(folder))
        assert made(folder) == made(tmp_path / "whole")
    print(f"{whole_s:.1f} s uninterrupted; {rounds} makings, killed in {' '.join(hit)}")
