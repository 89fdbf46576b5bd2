"""Reports that are wrong: what the answers say of them is heard, and nothing else moves the transmitter."""

import math
from functools import cache
from itertools import islice, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.channel.spec.spec import ChannelSpec
from common.channel.spec.ways import FeedbackSpec
from common.images.datasets import load_images
from common.pair.certainty import shares_of
from common.pair.manifest import find_pair
from common.pair.speech import load_speech
from common.protocol.messages import Result, Status
from scrx.demodulation.equalise import one_tap
from sctx.rate.bias import AWAY_DB, STEPS_DB, FrameSnr, ReportBias
from sctx.rate.controller import MOST_UNREPORTED, Controller
from sctx.rate.decision import Sharing
from sctx.rate.policy import RatePolicy
from sctx.rate.sureness import GRID_DB, SURE, Sureness
from sctx.settings import Settings
from training.lab.direct import Encodings, _Direct
from training.lab.loopback import Loopback

PAIR = find_pair("digits")
LAYOUT, SLOT = PAIR.layout, PAIR.layout.slot
WORDS = load_speech(PAIR, "encoder").words
SHARES = shares_of(PAIR)
SURENESS = Sureness(WORDS, SHARES, LAYOUT.pilots)
HEARD, SEEDS = 20, 6
KNOWN = Encodings()


def result(seq: int, snr_db: float | None, air: int | None = None, error_db: float = 0.4, **more: Any) -> Result:
    errors = (None, None) if snr_db is None else (error_db, error_db)
    fields = {"fd": 0.0, "confidence": 0.9, "outputs": {}} | more
    return Result(bytes(16), seq, 0, Status.OK, snr_db, snr_db, *errors, fields["fd"],
                  seq * SLOT if air is None else air, fields["confidence"], 0, 0, 1, fields["outputs"])  # fmt: skip


def heard(said: int, count: int, snr_db: float, rng: np.random.Generator, off_db: float) -> dict[str, Any]:
    """What a receiver answers to a word, with the gain that the pilots gave it. off_db: of its SNR."""
    n0, symbols = 10 ** (-snr_db / 10), WORDS.corners.shape[1]
    noise = rng.standard_normal((2, symbols + 1)) * math.sqrt(n0 / 2)
    y, error = WORDS.points[said] + noise[0, 1:] + 1j * noise[1, 1:], complex(noise[0, 0], noise[1, 0])
    tap, gamma = one_tap(1 + error / math.sqrt(LAYOUT.pilots), n0 / 10 ** (off_db / 10), LAYOUT.pilots)
    came = np.arange(symbols) < count
    mmse, snr = (y * tap).astype(np.complex64), np.full(symbols, gamma, np.float32)
    log = WORDS.likelihood(mmse[None], snr[None], came[None], np.array([LAYOUT.pilots], np.float32))[0]
    posterior = np.exp(log - log.max())
    assert SHARES is not None
    classes = posterior / posterior.sum() @ SHARES
    return {"index": int(classes.argmax()), "confidence": float(classes.max())}


def chance_of(kind: int, count: int) -> NDArray[np.float64]:
    """As `Sureness.chance`. kind: 0 wrong, and then how sure."""
    chances = SURENESS.chances(count)
    wrong = chances[0]
    return np.stack((1 - wrong, chances[kind] / (1 - wrong)) if kind else (wrong, np.ones_like(wrong)))


def word_right(
    snr_db: float, bias_db: float, seed: int, frames: int, off_db: float = 0.0, deaf: bool = False
) -> tuple[NDArray[np.float64], Controller]:
    """Chance that the word of each frame arrives, where reports are off by so much; steady channel.

    off_db: by how much the receiver's own estimate is off; the reports are as well. deaf: no answer is heard.
    """
    rng, found = np.random.default_rng(seed), []
    controller = Controller(RatePolicy(), LAYOUT, PAIR.accuracy, Sharing(PAIR.words, 0.2))
    for seq in range(frames):
        decision = controller.decide(seq * SLOT, 0)
        sent = LAYOUT.rates[decision.rate]
        count = sent if decision.words is None else min(decision.words, sent)
        found.append(float(np.interp(snr_db, PAIR.words.snr_db, PAIR.words.right[count - 1])))
        said = int(rng.integers(10))
        answer = result(seq, snr_db + bias_db + off_db + 0.4 * rng.standard_normal())
        controller.hear(answer, 0)
        chance = SURENESS.chance(said, count, heard(said, count, snr_db, rng, off_db))
        assert chance is not None
        if not deaf:
            controller.learn(answer, answer.air_start, chance)
    return np.array(found), controller


@cache
def over_6_db(snr_db: float, seed: int) -> NDArray[np.float64]:
    """The same where reports are 6 dB too high: what is seen of its first frames does not depend on later ones."""
    return word_right(snr_db, 6.0, seed, 2 * HEARD)[0]


@cache
def right_reports(snr_db: float) -> float:
    """The same where they are right, once the first report is there."""
    return float(word_right(snr_db, 0.0, 0, 12, deaf=True)[0][1:].mean())


@pytest.mark.parametrize("bias_db", [6.0, -6.0, 12.0])
@pytest.mark.parametrize("snr_db", [-4.0, 0.0, 3.0, 6.0])
def test_wrong_reports_cost_a_point_at_most_once_20_answers_were_heard(snr_db: float, bias_db: float) -> None:
    found = [
        over_6_db(snr_db, seed) if bias_db == 6.0 else word_right(snr_db, bias_db, seed, 2 * HEARD)[0]
        for seed in range(SEEDS)
    ]
    late = [one[HEARD:].mean() for one in found]
    assert np.mean(late) >= right_reports(snr_db) - 0.01


@pytest.mark.parametrize("snr_db", [-4.0, 0.0, 3.0, 6.0])
def test_reports_that_are_6_db_too_high_cost_a_point_and_a_half_from_the_first_answer_on(snr_db: float) -> None:
    first = [over_6_db(snr_db, seed)[1:HEARD].mean() for seed in range(SEEDS)]
    assert np.mean(first) >= right_reports(snr_db) - 0.015


@pytest.mark.parametrize("snr_db", [-10.0, -4.0, 3.0, 12.0])
def test_right_reports_are_not_corrected(snr_db: float) -> None:
    moved = [abs(word_right(snr_db, 0.0, seed, 40)[1].correction_db) for seed in range(SEEDS)]
    assert np.median(moved) == 0.0
    assert np.mean(moved) <= 0.75


@pytest.mark.parametrize("snr_db", [-4.0, 0.0])
def test_a_receiver_that_is_too_sure_of_itself_is_corrected_by_its_wrong_answers(snr_db: float) -> None:
    """What it says of its channel and how sure it is of its words are off alike, and fit each other."""
    heard, deaf = (
        np.mean([word_right(snr_db, 0.0, seed, 60, off_db=6.0, deaf=deaf)[0][1:] for seed in range(SEEDS)])
        for deaf in (False, True)
    )
    assert right_reports(snr_db) - heard < (right_reports(snr_db) - deaf) / 2


@pytest.mark.parametrize("trust", [False, True])
def test_over_a_link_that_misleads_by_12_db_a_point_is_lost_and_not_a_quarter(trust: bool) -> None:
    images, frames = load_images("digits", "test"), 100
    right, symbols = {}, {}
    for bias_db in (0.0, 12.0):
        settings = Settings(stream=3, trust_reports=trust, backend="torch")
        with _Direct(PAIR, ChannelSpec(snr_db=2.0), settings, FeedbackSpec(bias_db=bias_db)) as link:
            link.encodings, link.genie, link.highest = KNOWN, None, 99
            answers = [link.send(image) for image in islice(images.images, frames)]
            assert bias_db or link.correction_db == 0.0
        right[bias_db] = np.mean(
            [one.answer == label for one, label in zip(answers, images.labels[:frames], strict=True)][40:]
        )
        symbols[bias_db] = np.mean([one.symbols for one in answers][40:])
    lost = 100 * (right[0.0] - right[12.0])
    assert lost > 15 if trust else lost <= 1.0
    assert trust or symbols[12.0] == pytest.approx(symbols[0.0], rel=0.25)


def test_chances_are_chances_and_words_go_wrong_less_often_as_the_channel_gets_better() -> None:
    for count, pilots in product((1, 2, 5, 32), (2, 8)):
        chances = Sureness(WORDS, SHARES, pilots).chances(count)
        np.testing.assert_allclose(chances.sum(0), 1.0)
        assert (chances > 0).all()
        assert (np.diff(chances[0]) < 0.03).all()
        assert chances[0, 0] > chances[0, -1] + 0.2


def test_what_is_told_of_a_word_is_told_of_its_energy_and_pilots() -> None:
    longer, shorter = SURENESS.chances(16)[0], SURENESS.chances(4)[0]
    blind = Sureness(WORDS, SHARES, 2).chances(16)[0]
    assert (longer[4:14] < shorter[4:14]).all()
    assert (longer[4:10] < blind[4:10]).all()


@pytest.mark.parametrize(
    "output",
    [None, {}, [], "cat", {"index": None}, {"index": 1.0}, {"index": True}, {"name": "1", "confidence": 0.9}],
)
def test_an_answer_that_names_no_class_says_nothing(output: Any) -> None:
    assert SURENESS.chance(1, 8, output) is None


@pytest.mark.parametrize("confidence", [None, math.nan, "0.9", 1, [0.9]])
def test_without_a_confidence_only_the_answer_itself_is_heard(confidence: Any) -> None:
    agreed, nothing = SURENESS.chances(8)[1:].sum(0), np.ones(len(GRID_DB))
    for pair, index, whether in (
        (SURENESS, 1, agreed),
        (SURENESS, 2, 1 - agreed),
        (Sureness(WORDS, None, 8), 1, agreed),
    ):
        chance = pair.chance(1, 8, {"index": index, "confidence": confidence})
        assert chance == pytest.approx(np.stack((whether, nothing)))


@pytest.mark.parametrize("confidence", [-1e300, 0.0, 0.5, 0.97, 1.0, 7.0, math.inf, -math.inf])
@pytest.mark.parametrize("index", [-1, 0, 9, 10, 2**70])
def test_any_answer_has_a_chance_at_every_snr(index: int, confidence: float) -> None:
    chance = SURENESS.chance(0, 3, {"index": index, "confidence": confidence})
    assert chance is not None
    assert chance.shape == (2, len(GRID_DB))
    assert (chance > 0).all()


def test_a_hostile_receiver_moves_the_belief_within_its_grid_and_no_further() -> None:
    rng = np.random.default_rng(0)
    for _ in range(16):
        bias = ReportBias()
        kind = int(rng.integers(2 + len(SURE)))
        for _ in range(40):
            inst, avg = rng.choice([-100.0, -40.0, 0.0, 3.0, 100.0], 2)
            errors = rng.choice(np.array([None, 0.0, 1e-9, 1.0, 100.0], object), 2)
            report = Result(bytes(16), 0, 0, Status.OK, float(inst), float(avg), *errors, None, 0, 0.0, 0, 0, 1, {})
            bias.learn(report, chance_of(kind, 4))
            assert bias.db in STEPS_DB
            assert bias.off_db is None or set(bias.off_db) <= set(STEPS_DB)
    assert np.abs(STEPS_DB).max() == 15.0


def test_what_was_learned_is_forgotten_when_reports_are_right_again() -> None:
    bias, rng = ReportBias(), np.random.default_rng(0)
    for _ in range(20):
        bias.learn(result(0, 4.0), chance_of(0, 8))
    assert bias.db <= -6.0
    for _ in range(60):
        kind = rng.choice(2 + len(SURE), p=SURENESS.chances(8)[:, GRID_DB == 4.0][:, 0])
        bias.learn(result(0, 4.0), chance_of(kind, 8))
    assert bias.db == 0.0


def test_what_reports_may_be_off_by_is_as_likely_among_its_values_as_it_is() -> None:
    bias = ReportBias()
    for kind in (1, 3, 2, 6):
        bias.learn(result(0, 4.0), chance_of(kind, 8))
        assert bias.off_db is not None
        shares = (bias.off_db[:, None] == STEPS_DB).mean(0)
        assert shares == pytest.approx(bias._likely.sum(0), abs=1 / len(bias.off_db))
        for quarter in np.split(bias.off_db, 4):  # at no place of the belief more than at another
            assert (quarter[:, None] == STEPS_DB).mean(0) == pytest.approx(shares, abs=4 / len(quarter))


def test_an_answer_waits_for_the_report_about_its_frame_but_not_for_ever() -> None:
    at_once, later, never = (Controller(RatePolicy(), LAYOUT, PAIR.accuracy) for _ in range(3))
    wrong = chance_of(0, 8)
    for seq in range(30):
        at_once.learn(result(seq, 3.0), seq * SLOT, wrong)
        later.learn(result(seq, 3.0 if seq >= 5 else None, max(seq - 5, 0) * SLOT), seq * SLOT, wrong)
    assert at_once.correction_db == later.correction_db < -6.0
    for seq in range(2 * MOST_UNREPORTED):
        never.learn(result(seq, None), seq * SLOT, wrong)
    assert never.correction_db == 0.0
    assert len(never._unreported) == MOST_UNREPORTED


def test_nothing_is_learned_while_the_receiver_is_not_sure_of_the_average() -> None:
    bias = ReportBias()
    for _ in range(50):
        bias.learn(result(0, 3.0, error_db=2.0), chance_of(0, 8))
    assert bias.db == 0.0
    assert bias.off_db is None, "and reports are believed"


@pytest.mark.parametrize("snr_db", [-5.0, 5.0, 15.0])
@pytest.mark.parametrize("fading", [False, True])
def test_reports_show_whether_a_channel_fades(fading: bool, snr_db: float) -> None:
    rng, frame, pilots = np.random.default_rng(1), FrameSnr(), 8
    for _ in range(60):
        rho = 10 ** (snr_db / 10) * (rng.exponential() if fading else 1.0)
        gain = abs(math.sqrt(rho) + (rng.standard_normal() + 1j * rng.standard_normal()) / math.sqrt(2 * pilots))
        seen = max(gain**2 - 1 / pilots, 0.03)
        errors = 4.343 * math.sqrt(2 / (seen * pilots) + 1 / 224), 0.5
        report = Result(bytes(16), 0, 0, Status.OK, 10 * math.log10(seen), snr_db, *errors, None, 0, 0.0, 0, 0, 1, {})
        shares = frame.shares(report)
    assert (frame._steady < 0.2) is fading
    assert shares.sum() == pytest.approx(1.0)
    assert shares.shape == AWAY_DB.shape


@pytest.mark.parametrize("how", ["trusted", "robust", "other tasks", "another encoder"])
def test_where_nothing_is_to_be_heard_nothing_is_corrected(how: str) -> None:
    settings = {
        "trusted": Settings(trust_reports=True), "robust": Settings(policy="robust"),
        "other tasks": Settings(tasks=("embedding",)), "another encoder": Settings(),
    }[how]  # fmt: skip
    with Loopback("digits", ChannelSpec(snr_db=2.0), settings, FeedbackSpec(bias_db=12.0)) as link:
        if how == "another encoder":
            link.chain.words, link._sureness = None, None
        for image in islice(load_images("digits", "test").images, 40):
            link.send(image)
        assert link.correction_db == 0.0
