"""The parts of the benches still fit the code that they measure; nothing is timed here."""

import json
import subprocess
import sys

import pytest

from tests.bench import bench_link
from tests.bench.bench_link import STAGES, measure


def test_the_cost_of_a_frame_is_measured_stage_by_stage() -> None:
    words = [sys.executable, "-m", "tests.bench.frame_cost", "1"]
    found = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)
    assert len(found) == 8
    assert all(us > 0 for us in found.values())
    assert found.pop("all") == pytest.approx(sum(found.values()), abs=0.1)


@pytest.mark.full
def test_a_set_of_processes_gives_each_link_and_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("ROUNDS", 1), ("FRAMES", 4), ("WARM", 2)):
        monkeypatch.setattr(bench_link, name, few)
    found = measure(("--snr", "10"), turn=1)
    assert set(found.us) == set(found.cpu_us) == set(found.switches) == {"floor", "working", "ours"}
    assert {len(us) for us in found.us.values()} == {4}
    assert {what: len(us) for what, us in found.stages.items()} == {what: 4 for what, *_ in STAGES}
