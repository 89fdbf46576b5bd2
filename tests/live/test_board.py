"""Health that is true in both directions, with a clock that is not the machine's: busy is ready, hung is not."""

import pytest

from common.live.board import EVERY_S, About, Board
from common.live.pace import FIRST_S, LEAST_S, Pace


class Process:
    """A loop and its board. `asleep`: what happens while those who look wait."""

    def __init__(self, patience_s: float = 0.5) -> None:
        self.now, self.taken, self.why = 100.0, 0, ""
        self.turning = self.stopped = False
        about = About("scrx", "1")
        self.board = Board(about, self._take, lambda: "", lambda: self.why, patience_s, lambda: self.now, self._sleep)

    def _take(self) -> tuple[dict[str, float], dict[str, float]]:
        self.taken += 1
        return {"sessions": self.taken}, {"sessions": self.taken}

    def _sleep(self, for_s: float) -> None:
        self.now += for_s
        if self.turning:
            self.board.turned()

    def turn(self, for_s: float) -> None:
        until = self.now + for_s
        while self.now < until:
            self.now += 0.02
            self.board.turned()


def test_metrics_are_as_new_as_they_can_be_although_what_looks_bad_is_looked_at_for_long() -> None:
    exposition = pytest.importorskip("common.live.exposition", reason="prometheus-client is not installed")
    process = Process()
    process.turning = True
    process.board.look()
    process.why = "the peer is away"
    began, text = process.now, exposition.Shown(process.board).text().decode()
    assert process.now - began > 0.4
    assert "\nsemlink_ready 0.0\n" in text
    assert f"\nsemlink_sessions {process.taken}.0\n" in text
    assert process.now - process.board.latest.taken_s < EVERY_S


def test_nothing_is_taken_while_nobody_looks_and_five_a_second_at_most_while_somebody_does() -> None:
    process = Process()
    process.turn(10.0)
    assert process.taken == 0
    process.board.look()
    process.turn(1.0)
    assert 4 <= process.taken <= 6
    process.turn(10.0)
    assert process.taken <= 12


def test_who_looks_gets_a_fresh_snapshot_of_a_loop_that_turns_and_an_old_one_with_its_age_of_one_that_hangs() -> None:
    process = Process()
    process.turning = True
    first = process.board.look()
    assert process.board.age_s(first) < 0.1
    process.turning = False
    process.now += 5.0
    began = process.now
    old = process.board.look()
    assert process.now - began < 0.2  # never longer than that for the loop
    assert old is first
    assert process.board.age_s(old) > 5.0


@pytest.mark.parametrize("for_s", [0.0, 0.4, 3.0, 3600.0])
def test_a_process_that_was_stopped_and_goes_on_is_no_false_alarm(for_s: float) -> None:
    process = Process()
    process.turn(1.0)
    process.now += for_s  # SIGSTOP, or no processor; then whoever looks happens to run first
    process.turning = True
    assert process.board.hung() == ""
    assert process.board.unready() == ""


def test_a_loop_that_hangs_is_found_within_two_seconds() -> None:
    process = Process()
    process.turn(1.0)
    hung_s = process.now
    while not process.board.hung():
        process.now += 0.1
    assert process.now - hung_s < 2.0
    assert "has not turned" in process.board.unready()


def test_what_looks_bad_for_a_moment_is_not_told() -> None:
    process = Process()
    process.turning, process.why = True, "no receiver is heard"
    looks = iter(range(5))

    def soon() -> str:
        return "no receiver is heard" if next(looks, None) is not None else ""

    process.board._away = soon
    assert process.board.unready() == ""
    process.board._away = lambda: "no receiver is heard"
    assert process.board.unready() == "no receiver is heard"
    assert process.board.stuck() == ""  # a restart would not bring it


# -- how long is too long


def test_before_anything_was_answered_there_is_patience_and_no_limit_is_shorter_than_the_least() -> None:
    pace = Pace()
    assert pace.limit_s(1) == FIRST_S
    for _ in range(100):
        pace.took(1, 0.002)
    assert pace.limit_s(1) == LEAST_S


@pytest.mark.parametrize("per_frame_s", [0.01, 0.3, 1.5, 4.0])
@pytest.mark.parametrize("fixed_s", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("slower", [1.0, 2.0, 3.5])
def test_a_slow_model_at_full_load_is_never_called_hung(per_frame_s: float, fixed_s: float, slower: float) -> None:
    """Whatever a batch costs by itself and by frame, in any order of sizes, and with other work beside it later."""
    pace = Pace()
    for count in (1, 32, 2, 7, 32, 1, 16, 32):
        took_s = fixed_s + per_frame_s * count
        if count > 1:
            assert slower * took_s < pace.limit_s(count)
        pace.took(count, took_s)


@pytest.mark.parametrize("per_frame_s", [0.001, 0.05, 0.5])
def test_a_model_that_hangs_is_found_within_a_few_of_its_batches(per_frame_s: float) -> None:
    pace = Pace()
    for count in (1, 4, 16, 32):
        pace.took(count, per_frame_s * count)
    assert pace.limit_s(32) <= max(LEAST_S, 4.01 * 32 * per_frame_s)
    assert pace.limit_s(1) <= max(LEAST_S, 4.01 * per_frame_s)
