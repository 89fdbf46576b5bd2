"""The parts of the benches still fit the code that they measure; nothing is timed here."""

import json
import subprocess
import sys

import pytest

from tests.bench import bench_link, in_turn, link_cpu
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


def test_a_ratio_that_every_set_has_is_certain_and_one_that_moves_is_not() -> None:
    assert in_turn.ratio([0.9] * 8) == (0.9, 0.9, 0.9)
    middle, low, high = in_turn.ratio([0.8, 0.9, 1.0, 1.1, 0.85, 0.95, 1.05, 0.9])
    assert middle == pytest.approx(0.925)
    assert 0.8 <= low < middle < high < 1.1


def test_a_state_that_there_is_not_is_wrong_use() -> None:
    words = [sys.executable, "-m", "tests.bench.in_turn", "no-such-commit", "."]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no-such-commit" in done.stderr


@pytest.mark.full
@pytest.mark.parametrize("more", [(), ("--all-on",), ("--channel", "ideal")])
def test_links_of_two_states_take_turns(more: tuple[str, ...]) -> None:
    words = [sys.executable, "-m", "tests.bench.in_turn", "HEAD", ".", "--sets", "2", "--turns", "1", *more]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == ["old", "new", "new"]
    assert 0.1 < float(done.stdout.rsplit("new / old: ")[1].split()[0]) < 10
