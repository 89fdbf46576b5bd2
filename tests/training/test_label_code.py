"""The label in its best words: told right as often as theory says, by the codec over the emulator's own channel."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from training.baselines import label_words as searched
from training.baselines.label_code import LabelCodec, best_pilots
from training.baselines.label_words import drawn_right, key, search, words_for
from training.systems.carry import Way, carry
from training.systems.system import Place

CLASSES = 10


def simplex_right(energy: float, labels: int) -> float:
    """Proakis, Digital Communications, 5th ed., 4.4: the simplex is C orthogonal words of C/(C - 1) of the energy."""
    shift = math.sqrt(2.0 * energy * labels / (labels - 1))
    x = np.linspace(-9.0, 9.0, 721)
    return float((norm.pdf(x) * norm.cdf(x + shift) ** (labels - 1)).sum() * (x[1] - x[0]))


def orthogonal_right(energy: float, labels: int, faded: bool) -> float:
    """Proakis, 5th ed., 4.5-3: C orthogonal words told by their energy; faded: averaged over |h|^2 ~ Exp(1)."""
    total = 0.0
    for k in range(labels):
        loss = energy * k / (k + 1)
        seen = 1.0 / (1.0 + loss) if faded else math.exp(-loss)
        total += (-1) ** k * math.comb(labels - 1, k) / (k + 1) * seen
    return total


def faded_simplex_right(energy: float, labels: int) -> float:
    gains, weights = np.polynomial.laguerre.laggauss(24)
    return sum(w * simplex_right(g * energy, labels) for g, w in zip(gains, weights, strict=True))


def pictures(count: int, labels: int = CLASSES) -> np.ndarray:
    """uint8 [N, 1, 1, 1]: each is its class and nothing else."""
    return np.random.default_rng(0).integers(0, labels, (count, 1, 1, 1), dtype=np.uint8)


def share(place: Place, pilots: int, coherent: bool, count: int, labels: int = CLASSES) -> tuple[float, float]:
    """Between which shares of right answers the truth lies, of so many images over the emulator's own channel."""
    images = pictures(count, labels)
    codec = LabelCodec(
        words_for(labels, place.n - pilots, coherent), lambda batch: batch[:, 0, 0, 0].astype(int), coherent
    )
    sent = codec.encode(images)
    assert np.mean(np.abs(sent) ** 2, 1) == pytest.approx(1.0, abs=1e-9)
    answers = carry(Way(codec, pilots), images, place, stream=3)
    ci = binomtest(int((answers == images[:, 0, 0, 0]).sum()), count).proportion_ci(0.9999)
    return float(ci.low), float(ci.high)


@pytest.mark.parametrize(("uses", "snr_db"), [(5, -3.0), (8, -6.0), (16, -8.0)])
def test_on_a_known_channel_the_label_is_drawn_right_as_the_integral_says(uses: int, snr_db: float) -> None:
    energy = uses * 10.0 ** (snr_db / 10.0)
    low, high = share(Place("awgn", "perfect", uses, snr_db), 0, True, 1500)
    assert low <= simplex_right(energy, CLASSES) <= high
    low, high = share(Place("block-rayleigh", "perfect", uses, snr_db), 0, True, 1500)
    assert low <= faded_simplex_right(energy, CLASSES) <= high


@pytest.mark.parametrize(("channel", "snr_db"), [("awgn", -5.0), ("block-rayleigh", 0.0)])
def test_without_pilots_the_label_is_drawn_right_as_orthogonal_words_are(channel: str, snr_db: float) -> None:
    low, high = share(Place(channel, "estimated", 16, snr_db), 0, False, 1500)
    right = orthogonal_right(16 * 10.0 ** (snr_db / 10.0), CLASSES, channel != "awgn")
    assert low <= right <= high
    drawn = drawn_right(words_for(CLASSES, 16, False), channel, snr_db, None)
    assert drawn == pytest.approx(right, abs=4 * math.sqrt(right * (1 - right) / 10_000))


@pytest.mark.parametrize("channel", ["awgn", "block-rayleigh"])
def test_pilots_are_worth_over_the_channel_what_they_are_chosen_by(channel: str) -> None:
    low, high = share(Place(channel, "estimated", 16, 0.0), 4, True, 1500)
    assert low <= drawn_right(words_for(CLASSES, 12, True), channel, 0.0, 4) <= high


PLACES = [(10, 1, True), (10, 2, True), (10, 4, True), (10, 3, False), (10, 8, False), (100, 8, True), (100, 64, False)]


@pytest.mark.parametrize(("labels", "uses", "coherent"), PLACES)
def test_words_that_were_searched_for_pass_no_bound_and_are_better_than_random_ones(
    labels: int, uses: int, coherent: bool
) -> None:
    words = words_for(labels, uses, coherent)
    assert np.mean(np.abs(words) ** 2, 1) == pytest.approx(1.0)
    inner = words @ words.conj().T / uses
    pairs = np.triu_indices(labels, 1)
    worst = inner.real[pairs].max() if coherent else np.abs(inner)[pairs].max()
    welch = math.sqrt(max(labels - uses, 0) / (uses * (labels - 1)))
    assert worst >= (-1 / (labels - 1) if coherent else welch) - 1e-9
    rng = np.random.default_rng(0)
    random = searched.powered(rng.normal(size=(labels, 2 * uses)))
    for snr_db in (0.0, 10.0 - 10.0 * math.log10(uses)):
        pilots = 10**9 if coherent else None  # so many that h is known
        right = drawn_right(words, "awgn", snr_db, pilots)
        bound = simplex_right(uses * 10.0 ** (snr_db / 10.0), labels)
        assert right <= bound + 4 * math.sqrt(bound * (1 - bound) / 10_000) + 1e-9
        assert right >= drawn_right(random, "awgn", snr_db, pilots)


@pytest.mark.parametrize(("uses", "known"), [(1, math.cos(math.pi / 5)), (4, 0.0)])
def test_the_search_is_no_worse_than_what_is_known(uses: int, known: float) -> None:
    """One use: ten points of a circle, since each word has the same power; four uses: biorthogonal words."""
    found = search(CLASSES, uses, coherent=True)
    worst = (found @ found.conj().T / uses).real[np.triu_indices(CLASSES, 1)].max()
    assert worst == pytest.approx(known, abs=0.01)


def test_words_that_are_kept_are_what_the_search_finds() -> None:
    from safetensors.numpy import load_file

    kept = load_file(searched.SHIPPED)
    assert set(kept) == {key(c, n, coherent) for c, sizes, coherent in searched.PLACES for n in sizes}
    for uses, coherent in ((2, True), (5, False)):
        fresh, old = search(10, uses, coherent), words_for(10, uses, coherent)
        closeness = [
            np.abs((w @ w.conj().T).real if coherent else w @ w.conj().T)[np.triu_indices(10, 1)] for w in (fresh, old)
        ]
        assert closeness[0].max() == pytest.approx(closeness[1].max(), rel=0.02)


@pytest.mark.parametrize("uses", [8, 16])
def test_the_better_of_pilots_and_none_is_taken(uses: int) -> None:
    chosen = best_pilots(CLASSES, uses, "block-rayleigh", 5.0)
    right = {0: drawn_right(words_for(CLASSES, uses, False), "block-rayleigh", 5.0, None)}
    right |= {p: drawn_right(words_for(CLASSES, uses - p, True), "block-rayleigh", 5.0, p) for p in (2, 4)}
    assert chosen == max(right, key=lambda p: right[p])


def test_an_image_is_said_alone_as_among_others() -> None:
    images = pictures(12)
    codec = LabelCodec(words_for(CLASSES, 8, False), lambda batch: batch[:, 0, 0, 0].astype(int), False)
    together = codec.encode(images)
    assert all((codec.encode(images[at : at + 1])[0] == together[at]).all() for at in range(12))
    ones = np.ones((12, 8), np.float32)
    assert (codec.decode(together.astype(np.complex64), ones) == images[:, 0, 0, 0]).all()
