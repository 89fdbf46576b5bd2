"""Several processes under `torchrun` share out the store and train together."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.training.test_distill import TINY


def torchrun(folder: Path, processes: int, *words: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    command += ["--master-addr", "127.0.0.1", "--master-port", str(port), "-m", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.full  # two interpreters load torch twice: half a minute of processor time
@pytest.mark.timeout(180)
def test_two_processes_make_the_same_store_and_nearly_the_same_student(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    one, two = tmp_path / "one", tmp_path / "two"
    recipe = ("training.distill", "--recipe", str(tmp_path / "tiny.toml"), "--epochs", "4", "--force")
    for place in (one, two):
        place.mkdir()
    subprocess.run([sys.executable, "-m", *recipe], cwd=one, check=True, capture_output=True, timeout=120)
    torchrun(two, 2, *recipe, "--teacher", str(one / "build/teachers/tiny"))
    shards = sorted(path.relative_to(one) for path in one.glob("build/stores/*/v*/*.safetensors"))
    assert len(shards) == 2
    for shard in shards:
        assert (two / shard).read_bytes() == (one / shard).read_bytes()
    pairs = [load_file(place / "build/pairs/tiny/encoder.safetensors") for place in (one, two)]
    trained = [name for name in pairs[0] if name.endswith((".conv1.weight", ".conv2.weight", ".skip.weight"))]
    assert len(trained) == 8
    for name in trained:  # the head is fitted to the features of the end, and goes with whatever turns them
        moved = (pairs[0][name] - pairs[1][name]).norm() / pairs[0][name].norm()
        assert float(moved) < 0.1, name  # batch statistics are each process's own
