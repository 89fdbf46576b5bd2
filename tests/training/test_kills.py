"""`kill -9` at ten random moments, from the teacher to the written pair, changes nothing in what is made."""

import hashlib
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.training.test_distill import TINY

KILLS, MAKINGS = 10, 8
STAGES = ("teacher", "store", "student", "words", "graphs")
RECIPE = TINY.replace("views = 2", "views = 6").replace("epochs = 1\n", "epochs = 10\n").replace(
    "epochs = 2\n", "epochs = 10\n"
)  # fmt: skip
EMBEDDED = RECIPE.replace("views = 6\n", 'views = 6\nencoding = "top4"\nembedding = 8\n') + "[loss]\nembedding = 1.0\n"
BEGIN = """
import os, sys, time, traceback
from functools import wraps
from pathlib import Path
from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification
import training.distillation.judge, training.distillation.reuse, training.distillation.soft, training.export.tracing
import training.distillation.stages, training.loop.fit, training.words.arrivals
from training.distill import main

training.loop.fit.CHECKPOINT_S = 0.1  # a life is seconds long here, not hours
training.loop.fit.TRIAL_S = 0.1
training.words.arrivals.DRAWS = 2000

def noted(module, name, stage):
    function = getattr(module, name)
    @wraps(function)
    def told(*given, **named):
        with Path("stages").open("a") as file:
            file.write(f"{stage} {time.monotonic()}\\n")
        return function(*given, **named)
    setattr(module, name, told)

noted(training.distillation.reuse, "train_teacher", "teacher")
noted(training.distillation.soft, "projected", "store")
noted(training.distillation.soft, "generate", "store")
noted(training.distillation.stages, "fit", "student")
noted(training.distillation.stages, "write_encoder", "words")
noted(training.distillation.stages, "finish", "graphs")
noted(training.distillation.judge, "judge", "end")
for line in sys.stdin:
    if child := os.fork():
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(line.rstrip())
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 1
    try:
        main(["--recipe", "tiny.toml", "--force"], prog_name="distill", obj={}, standalone_mode=False)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
"""
"""Has loaded what takes seconds, and forks a distillation for each line, which is its folder: tells its process id,
then its exit code."""


class Maker:
    """The process that forks them, one at a time."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._pid = 0

    def begin(self, folder: Path) -> None:
        assert self.process.stdin is not None
        print(folder, file=self.process.stdin, flush=True)
        self._pid = int(self._line())

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        assert int(self._line()) == -signal.SIGKILL

    def ended(self, within_s: float) -> bool:
        """Whether it came to its end in that time."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], within_s)[0]:
            return False
        assert int(self._line()) == 0
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def makers() -> Iterator[tuple[Maker, Maker]]:
    """Two, so that what is killed has other hashes, and another memory, than what is not."""
    both = Maker(), Maker()
    yield both
    for one in both:
        one.close()


def stages(folder: Path) -> list[tuple[str, float]]:
    """What was begun, and when."""
    lines = (folder / "stages").read_text().splitlines() if (folder / "stages").exists() else []
    return [(name, float(when)) for name, when in (line.split() for line in lines if line.count(" ") == 1)]


def made(folder: Path) -> dict[str, str]:
    """SHA-256 of teacher, store and pair."""
    parts = ("build/teachers/tiny/*.safetensors", "build/stores/*/**/*", "build/pairs/tiny/*")
    files = sorted(path for part in parts for path in folder.glob(part) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def place(folder: Path, recipe: str) -> Path:
    folder.mkdir()
    (folder / "tiny.toml").write_text(recipe)
    return folder


def kill_in(stage: str, length_s: float, folder: Path, maker: Maker) -> bool:
    """Let it run into a stage, and kill it `length_s` later; False where it came to its end before."""
    before = len(stages(folder))
    maker.begin(folder)
    while stage not in (name for name, _ in stages(folder)[before:]):
        if maker.ended(0.02):
            return False
    if maker.ended(length_s):
        return False
    maker.kill()
    return True


@pytest.mark.full  # two makings, and what is made again after ten kills
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "recipe"), [(0, RECIPE), (1, EMBEDDED)], ids=["answers", "embeddings"])
def test_ten_kills_at_random_change_nothing(
    tmp_path: Path, makers: tuple[Maker, Maker], seed: int, recipe: str
) -> None:
    """At least one in each stage, at a moment of it that is drawn; over several makings, until there are ten."""
    whole = place(tmp_path / "whole", recipe)
    makers[0].begin(whole)
    assert makers[0].ended(300)
    takes_s: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    for (name, begun), (_, over) in pairwise(stages(whole)):
        takes_s[name] += over - begun
    lives, hit, makings = random.Random(seed), list[str](), 0
    while len(hit) < KILLS or set(hit) != set(STAGES):
        makings += 1
        assert makings <= MAKINGS, hit
        folder = place(tmp_path / f"killed-{makings}", recipe)
        for stage in STAGES:
            if not kill_in(stage, lives.uniform(0.0, takes_s[stage]), folder, makers[1]):
                break
            hit.append(stages(folder)[-1][0])
        else:
            makers[1].begin(folder)
            assert makers[1].ended(300)
        assert made(folder) == made(whole)
    assert len(made(whole)) > len(STAGES)
    print({name: round(one, 1) for name, one in takes_s.items()}, f"{makings} makings, killed in {' '.join(hit)}")
