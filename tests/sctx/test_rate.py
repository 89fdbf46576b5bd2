"""The rate decision as a pure function of report, table and goal."""

from typing import Any

import numpy as np
import pytest

from common.errors import ConfigError
from common.pair.manifest import find_pair
from common.pair.shapes import Accuracy, WordTable
from sctx.chain import GivenChain
from sctx.parts import sharing_of
from sctx.rate.belief import POINTS, Report, _j0, believe, is_stale, rayleigh
from sctx.rate.decision import Decision, Sharing, decide, shares
from sctx.rate.distortion import GRID_DB, Distortion
from sctx.rate.policy import Goal, RatePolicy
from sctx.settings import Settings

RATES, SLOT = (4, 8, 16), 128
TABLE = Accuracy(
    snr_db=(-10.0, 0.0, 10.0, 20.0, 30.0),
    acc=((0.2, 0.5, 0.94, 0.96, 0.96), (0.3, 0.8, 0.955, 0.965, 0.965), (0.5, 0.9, 0.96, 0.97, 0.97)),
    clean=0.97,
)


def report(snr_db: float, fd: float | None = 0.0, error_db: float = 0.0, avg_db: float | None = None) -> Report:
    return Report(snr_db, snr_db if avg_db is None else avg_db, error_db, fd, 0, 0)


def rate(policy: RatePolicy, seen: Report | None, air: int = SLOT) -> int:
    return decide(policy, seen, air, RATES, TABLE).rate


def test_without_a_report_the_most_robust_rate_is_sent_and_nothing_is_claimed() -> None:
    assert decide(RatePolicy(), None, 0, RATES, TABLE) == Decision(2, None)


def test_fewer_symbols_are_sent_as_the_channel_gets_better() -> None:
    chosen = [rate(RatePolicy(goal=Goal("within", 2.0)), report(snr)) for snr in (-5.0, 5.0, 10.0, 20.0)]
    assert chosen == sorted(chosen, reverse=True)
    assert (chosen[0], chosen[-1]) == (2, 0)


def test_the_goal_decides_how_much_accuracy_may_be_given_up() -> None:
    assert rate(RatePolicy(goal=Goal("within", 0.1)), report(20.0)) == 2
    assert rate(RatePolicy(goal=Goal("within", 0.6)), report(20.0)) == 1
    assert rate(RatePolicy(goal=Goal("within", 1.1)), report(20.0)) == 0


def test_a_target_takes_the_fewest_symbols_that_reach_it() -> None:
    at_0db = report(0.0)
    assert [rate(RatePolicy(goal=Goal("target", a)), at_0db) for a in (0.45, 0.75, 0.85, 0.99)] == [0, 1, 2, 2]


def test_a_budget_takes_the_best_rate_within_it_even_without_a_report() -> None:
    policy = RatePolicy(goal=Goal("budget", 10))
    assert [rate(policy, seen) for seen in (None, report(0.0), report(30.0))] == [1, 1, 1]
    with pytest.raises(ConfigError, match="at least 4"):
        RatePolicy(goal=Goal("budget", 3)).check(RATES)


def test_an_outage_goal_looks_at_the_tail_and_not_the_mean() -> None:
    deep_fades = report(15.0, fd=None)  # Rayleigh about 15 dB
    mean_goal = rate(RatePolicy(goal=Goal("within", 3.0)), deep_fades)
    assert [rate(RatePolicy(goal=Goal("outage", p)), deep_fades) for p in (0.01, 1.0)] == [2, 0]
    assert mean_goal < 2


def test_a_price_buys_symbols_only_for_what_they_are_worth() -> None:
    at_0db = report(0.0)  # accuracies 0.5, 0.8, 0.9: four symbols more are worth 0.3, eight more another 0.1
    assert [rate(RatePolicy(goal=Goal("price", each)), at_0db) for each in (0.0, 0.012, 0.013, 0.074, 0.076)] == [
        2, 2, 1, 1, 0,
    ]  # fmt: skip
    dear = RatePolicy(goal=Goal("price", 0.1))
    assert [rate(dear, None), rate(dear, report(30.0))] == [2, 0]
    close = RatePolicy(goal=Goal("price", 0.0126))  # the rate before makes no rate worth more
    assert [decide(close, at_0db, SLOT, RATES, TABLE, last).rate for last in (None, 2)] == [1, 1]


def test_the_rate_does_not_flap_at_the_border() -> None:
    policy = RatePolicy(goal=Goal("within", 1.5))
    snrs = np.linspace(5, 25, 401)
    downward = next(s for s in snrs if decide(policy, report(s), SLOT, RATES, TABLE, last=1).rate == 0)
    upward = next(s for s in snrs if decide(policy, report(s), SLOT, RATES, TABLE, last=0).rate == 0)
    assert downward > upward  # it takes a better channel to move down to a rate than to stay at it


def test_an_old_report_is_worth_the_average_only() -> None:
    fading = report(30.0, fd=1e-3, avg_db=5.0)
    fresh, old = believe(fading, 1), believe(fading, 100_000)
    assert 10 * np.log10(fresh.mean()) == pytest.approx(30.0, abs=0.1)
    assert 10 * np.log10(old.mean()) == pytest.approx(5.0, abs=0.1)
    assert old.std() / old.mean() == pytest.approx(1.0, abs=0.1)  # exponential power: Rayleigh


def test_unknown_doppler_means_the_average() -> None:
    assert 10 * np.log10(believe(report(20.0, fd=None, avg_db=8.0), 1).mean()) == pytest.approx(8.0, abs=0.1)


def test_report_error_widens_the_belief() -> None:
    sharp, blunt = believe(report(10.0), 1), believe(report(10.0, error_db=3.0), 1)
    assert sharp.std() < 1e-9
    assert blunt.std() > 1.0


@pytest.mark.parametrize("average_db", [5.0, 10.0, 15.0, 20.0])
@pytest.mark.parametrize("symbols", [2, 6, 32])
def test_what_hardly_ever_fails_is_expected_to_fail_as_often_as_it_does(average_db: float, symbols: int) -> None:
    """Over Rayleigh fading, to a twentieth of a point: by so little a word may be shorter than the ladder."""
    table = find_pair("digits").words
    fine = 10 * np.log10(-np.log1p(-(np.arange(100_000) + 0.5) / 100_000)) + average_db
    coarse = 10 * np.log10(np.maximum(rayleigh(average_db), 1e-9))
    expected, found = (np.interp(one, table.snr_db, table.right[symbols - 1]).mean() for one in (fine, coarse))
    assert found == pytest.approx(expected, abs=5e-4)


def test_average_policy_ignores_the_instantaneous_snr() -> None:
    low, high = report(-10.0, avg_db=15.0), report(30.0, avg_db=15.0)
    assert rate(RatePolicy("average"), low) == rate(RatePolicy("average"), high)


def test_fixed_policy_sends_what_it_is_told_but_still_adapts_the_features() -> None:
    policy = RatePolicy.parse("fixed:8")
    assert decide(policy, report(20.0), SLOT, RATES, TABLE) == Decision(1, pytest.approx(20.0))
    with pytest.raises(ConfigError, match=r"fixed:5.*\[4, 8, 16\]"):
        RatePolicy.parse("fixed:5").check(RATES)


@pytest.mark.parametrize(("wrong_by", "told"), [(0.0, 15.0), (-6.0, 9.0)])
def test_what_an_image_is_adapted_to_moves_with_the_correction_and_not_with_a_doubt(
    wrong_by: float, told: float
) -> None:
    doubt = np.where(np.arange(POINTS) % 10, wrong_by, 15.0)  # one in ten says that reports are 15 dB too low
    assert decide(RatePolicy(), report(15.0), 0, RATES, TABLE, off_db=doubt).told_snr_db == pytest.approx(told)


def test_the_genie_decides_on_the_exact_snr() -> None:
    exact = Report.exact(12.0, 5 * SLOT, 0)
    assert np.allclose(believe(exact, 5 * SLOT), 10**1.2)
    assert decide(RatePolicy.parse("genie"), exact, 5 * SLOT, RATES, TABLE).told_snr_db == pytest.approx(12.0)
    assert Report.exact(float("inf"), 0, 0).snr_inst_db == 100.0


def test_robust_policy_takes_no_notice_of_reports() -> None:
    assert decide(RatePolicy("robust"), report(30.0), 0, RATES, TABLE) == Decision(2, None)


@pytest.mark.parametrize("text", ["", "fast", "fixed", "fixed:", "fixed:x", "adaptive:3"])
def test_unknown_policies_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match="choose adaptive"):
        RatePolicy.parse(text)


def test_reports_grow_stale_on_the_clock_and_on_the_air() -> None:
    assert not is_stale(report(1.0), 256 * SLOT, 5_000_000_000, SLOT)
    assert is_stale(report(1.0), 0, 5_000_000_001, SLOT)
    assert is_stale(report(1.0), 256 * SLOT + 1, 0, SLOT)


def test_bessel_function_matches_its_library_twin() -> None:
    special = pytest.importorskip("scipy.special", reason="scipy is not installed")
    x = np.linspace(0, 20, 101)
    assert np.allclose([_j0(float(v)) for v in x], special.j0(x), atol=1e-9)
    assert _j0(1e9) == 0.0


def test_the_rate_rises_until_the_features_are_near_enough() -> None:
    words = WordTable((-20.0, 40.0), tuple((1.0, 1.0) for _ in range(16)))  # a symbol is enough for the word
    half_each = Distortion(np.tile(0.5 ** np.arange(17)[:, None], len(GRID_DB)), 0.0)
    loose, seen = RatePolicy(goal=Goal("within", 100.0)), report(10.0)

    def chosen(most: float, goal: Goal | None = None) -> int:
        policy = loose if goal is None else RatePolicy(goal=goal)
        return decide(policy, seen, SLOT, RATES, TABLE, None, Sharing(words, 0.2, half_each, most)).rate

    assert [chosen(most) for most in (1.0, 0.5**3, 0.5**3 - 1e-9, 0.5**7, 0.5**7 - 1e-9, 0.0)] == [0, 0, 1, 1, 2, 2]
    assert chosen(0.0, Goal("budget", 10)) == 1, "no more than may be spent"
    assert chosen(1.0, Goal("within", 0.0)) == 2, "the class has what it needs in any case"
    without = decide(loose, None, SLOT, RATES, TABLE, None, Sharing(words, 0.2, half_each, 0.5))
    assert without == Decision(2, None), "before a report all of it is the word's"


def test_a_word_that_may_not_arrive_is_missed_with_all_that_stands_on_it() -> None:
    half = WordTable((-20.0, 40.0), tuple((0.5, 0.5) for _ in range(16)))
    nothing_else = Distortion(np.zeros((17, len(GRID_DB))), 0.8)
    found = decide(RatePolicy(), report(10.0), SLOT, RATES, TABLE, None, Sharing(half, 0.2, nothing_else, 0.1))
    assert (found.rate, found.missed) == (2, pytest.approx(0.4))
    doppler_unknown = decide(
        RatePolicy(), report(10.0, fd=None), SLOT, RATES, TABLE, None, Sharing(half, 0.2, nothing_else, 0.1)
    )
    assert (doppler_unknown.rate, doppler_unknown.missed) == (2, None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "fixed:32"}, "distortion chooses a rate, and so does policy fixed:32: give one of them"),
        ({"policy": "robust"}, "and so does policy robust"),
        ({"features": 0.0}, "features=0 that none are sent"),
    ],
)
def test_a_distortion_that_goes_with_nothing_else_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Settings(distortion=10.0, **given).check(find_pair("digits"))


def test_who_brings_an_encoder_can_ask_for_no_distortion() -> None:
    pair = find_pair("digits")
    brought = GivenChain(pair, lambda images, _: np.ones((len(images), 32), np.complex64))
    with pytest.raises(ConfigError, match="what digits sends is not known to carry features; give none"):
        sharing_of(brought, Settings(distortion=10.0))


@pytest.mark.parametrize("spread_db", [0.0, 4.0])
@pytest.mark.parametrize("snr_db", [-327.0, -10.0, -3.7, 0.0, 12.3, 30.0, 327.0])
@pytest.mark.parametrize("fd", [None, 0.0, 1e-3])
def test_the_mean_of_a_table_over_a_belief_is_that_of_its_entries_by_their_shares(
    snr_db: float, spread_db: float, fd: float | None
) -> None:
    belief = believe(report(snr_db, fd, spread_db), 300)
    share = shares(TABLE.snr_db, belief)
    assert share.sum() == pytest.approx(1.0)
    for row in TABLE.acc:
        between = np.interp(10 * np.log10(np.maximum(belief, 1e-6)), TABLE.snr_db, row)
        assert np.dot(row, share) == pytest.approx(between.mean(), abs=1e-12)
