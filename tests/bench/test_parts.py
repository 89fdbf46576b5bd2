"""The parts of the benches still fit the code that they measure; nothing is timed here."""

import json
import subprocess
import sys

import pytest

from tests.bench import bench_link, link_cpu
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


@pytest.mark.full
def test_what_a_round_trip_takes_is_counted_by_process_and_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, few in (("ROUNDS", 1), ("FRAMES", 10), ("WARM", 2)):
        monkeypatch.setattr(link_cpu, name, few)
    by_link, by_stage = link_cpu.links(), link_cpu.stages()
    assert set(by_link) == {"floor", "working floor", "ours"}
    assert all(us["all"] > 0 and len(us) == 1 + 2 * len(link_cpu.PROCESSES) for us in by_link.values())
    assert set(by_stage) == set(link_cpu.PROCESSES)
    assert all(us > 0 for stages in by_stage.values() for us in stages.values())
