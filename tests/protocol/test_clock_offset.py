"""The offset between two clocks, from pings whose delays differ."""

import random

from common.protocol.clock import ClockOffset

OFFSET = 5_000_000_000


def ping(clock: ClockOffset, at: int, there: int, back: int, held: int = 1000) -> None:
    """A ping sent at `at`, `there` ns on its way, held by the peer, `back` ns on its way home."""
    t2 = at + there + OFFSET
    clock.update(at, t2, t2 + held, at + there + held + back)


def test_nothing_is_claimed_before_the_first_ping() -> None:
    clock = ClockOffset()
    assert (clock.offset_ns, clock.error_ns, clock.round_trip_ns) == (None, None, 0)


def test_equal_delays_give_the_offset_exactly() -> None:
    clock = ClockOffset()
    ping(clock, 0, 200_000, 200_000)
    assert clock.offset_ns == OFFSET
    assert clock.round_trip_ns == 400_000


def test_the_shortest_round_trip_is_believed() -> None:
    clock = ClockOffset()
    for delay in (5_000_000, 50_000, 9_000_000):
        ping(clock, 0, delay, 50_000)
    assert clock.offset_ns == OFFSET
    assert clock.error_ns == 50_000


def test_a_short_round_trip_is_forgotten_after_eight_pings() -> None:
    clock = ClockOffset()
    ping(clock, 0, 1000, 1000)
    for _ in range(8):
        ping(clock, 0, 300_000, 100_000)
    assert clock.round_trip_ns == 400_000
    assert clock.offset_ns == OFFSET + 100_000


def test_the_error_stays_within_its_bound_whatever_the_delays() -> None:
    rng, clock = random.Random(4), ClockOffset()
    for at in range(500):
        ping(clock, at * 1_000_000, rng.randrange(1, 10**7), rng.randrange(1, 10**7), rng.randrange(10**6))
        assert clock.offset_ns is not None
        assert clock.error_ns is not None
        assert abs(clock.offset_ns - OFFSET) <= clock.error_ns + 1


def test_a_peer_that_claims_more_time_than_passed_or_less_than_none_is_not_believed() -> None:
    clock = ClockOffset()
    ping(clock, 0, 200_000, 200_000)
    for t2, t3 in ((0, 10_000), (2**64 - 1, 0), (0, 2**64 - 1), (10_000, 0)):
        clock.update(0, t2, t3, 5_000)
    assert (clock.round_trip_ns, clock.offset_ns) == (400_000, OFFSET)
