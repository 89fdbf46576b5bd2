"""More frames than the decoder can take, from one transmitter and from many: age is bounded and throughput kept.

Ages are compared with the batch times of the same run, so that a slow machine makes both longer. That holds where the
three threads that share the work are not kept from running: what it needs is among the long tests.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import PeerRejected
from common.pair.manifest import find_pair
from tests.integration.fleet import Fleet
from training.lab.processes import Command

BARE = str(Path(__file__).with_name("bare_receiver.py"))
BATCH_MS = 50.0
Start = Callable[..., Command]


sizes = pytest.mark.parametrize(("transmitters", "most"), [(1, 1), (8, 4)])


def overload(start: Start, transmitters: int, most: int, for_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Five times the frames that batches of `most` can take: what both ends counted."""
    receiver = start("python", BARE, "0", str(BATCH_MS), str(most))
    per_second = most * 1e3 / BATCH_MS
    fps = 5 * per_second / transmitters
    with Fleet(f"127.0.0.1:{receiver.port()}", transmitters, live=True, deadline_ms=5_000) as fleet:
        assert fleet.connect() == transmitters
        fleet.run(round(for_s * fps), fps=fps)
        found = fleet.summary()
    receiver.process.terminate()
    return {**found, "frames": transmitters * round(for_s * fps)}, json.loads(next(receiver.lines()))


@sizes
def test_of_more_frames_than_the_decoder_can_take_most_are_skipped_and_all_are_counted(
    start: Start, transmitters: int, most: int
) -> None:
    found, told = overload(start, transmitters, most, 2.0)
    counts = Counter(found["counts"])
    assert counts["answered"] + counts["skipped"] + counts["expired"] == found["frames"]
    assert counts["skipped"] > 0.6 * found["frames"]  # four in five cannot be taken
    assert counts["answered"] == told["answered"]
    assert told["answered"] >= 0.95 * most * (told["batches"] - 2)  # its batches were full


@pytest.mark.full
@sizes
def test_a_decoder_five_times_too_slow_gives_fresh_answers_at_its_own_pace(
    start: Start, transmitters: int, most: int
) -> None:
    found, told = overload(start, transmitters, most, 20.0)  # 400 answers and more: a percentile, not the worst
    assert told["busy_s"] >= 0.95 * told["span_s"]  # throughput: it was never without work for long
    assert found["p99_ms"] <= (2 * transmitters / most + 1) * told["batch_p99_ms"]


def test_frames_that_wait_past_their_deadline_are_not_decoded_and_are_counted_on_both_sides(start: Start) -> None:
    receiver = start("python", BARE, "0", "100", "1")
    with Fleet(f"127.0.0.1:{receiver.port()}", 4, live=True, deadline_ms=250) as fleet:
        assert fleet.connect() == 4
        fleet.run(40, fps=20)
        counts = Counter(fleet.summary()["counts"])
        latest_ms = fleet.summary()["max_ms"]
    receiver.process.terminate()
    told = json.loads(next(receiver.lines()))
    assert counts["answered"] > 0
    assert counts["expired"] > 0
    assert counts["answered"] + counts["expired"] + counts["skipped"] == 160
    assert latest_ms <= 250
    assert told["expired"] > 0
    assert told["answered"] == told["batches"]  # what expired cost the decoder nothing


def test_sixty_four_transmitters_are_held_and_served_alike(start: Start) -> None:
    receiver = start("python", BARE, "0", "5", "16")
    peer, frames = f"127.0.0.1:{receiver.port()}", 30
    seen: list[list[int]] = []
    with Fleet(peer, 64) as fleet, Fleet(peer, 1) as refused:
        assert fleet.connect() == 64
        fleet.run(1)
        assert refused.connect(timeout_s=1.0) == 0  # --max-sessions is 64, and the next one waits for a place
        fleet.run(frames - 1, each_step=lambda: seen.append([m.outcomes["answered"] for m in fleet.members]))
        assert refused.members[0].error is None
        for member in fleet.members:
            assert sorted(member.answered) == list(range(frames))
        assert fleet.summary()["counts"]["answered"] == 64 * frames
    half_way = next(now for now in seen if sum(now) >= 32 * frames)
    assert min(half_way) >= frames / 4  # nobody has had less than half of a fair share
    with Fleet(peer, 1) as late:
        assert late.connect() == 1


def test_another_model_is_refused_while_the_others_go_on(start: Start, tiny_pair: Path) -> None:
    peer = f"127.0.0.1:{start('python', BARE, '0', '1').port()}"
    with Fleet(peer, 4) as fleet, Fleet(peer, 1, model=find_pair(tiny_pair)) as stranger:
        assert fleet.connect() == 4
        assert stranger.connect() == 0
        assert isinstance(stranger.members[0].error, PeerRejected)
        fleet.run(20)
        assert fleet.summary()["counts"]["answered"] == 80
