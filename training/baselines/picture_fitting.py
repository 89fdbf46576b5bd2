"""What picture codes choose by: accuracy of pictures by bytes, lost words by SNR. Knows nothing about fading.

Pictures: held-out training images. Words: random bits on AWGN. Test images are never looked at.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from common.phy.decibel import from_db, to_db
from training.baselines.large_receiver import Classify, described, opened
from training.baselines.ldpc import LdpcQam, fits
from training.baselines.picture_codes import FORMATS, ORDER_BITS, PILOTS, lost_share
from training.baselines.pictures import RUNG_BITS, Format
from training.baselines.remembered import Remembered
from training.systems.bench import Bench

LADDER = (8, 10, 14, 18, 24, 28, 32, 36, 40, 45, 50, 57, 64, 80, 100, 130, 160, 200, 260, 340, 450, 600, 800, 1000)
"""Bytes a picture that are tried."""
STEP_N, MOST_N = 8, 1024
"""The smallest n is looked for in such steps, up to so many."""
BEST_DB = 20.0
WORDS = 96
OFFSETS_DB = (-1.0, 0.0, 1.0, 2.5)
"""About the SNR that loses half of the words."""
USUAL_GAP_DB, MOST_DB = 2.0, 60.0
MOST_IMAGES = 500
SAME = 0.995
"""Of the best accuracy: larger pictures than the first that reaches it are not tried."""


def fit(
    bench: Bench, name: str, sizes_n: tuple[int, ...], tell: Callable[[str], None], teacher: str | None = None
) -> dict[str, Any]:
    """Everything that `PictureCode` needs, JSON-ready, for these n and the smallest one. tell: is told what is done.

    teacher: folder or Hub id of what classifies at the receiver; None: the pair itself.
    """
    began = time.process_time()
    form = FORMATS[name](bench.images.shape[1:])
    classifier = None if teacher is None else described(bench, teacher)
    accuracy, lost = pictures(bench, form, opened(bench, classifier))
    tell(f"{name}: accuracy by bytes {accuracy}, lost {lost:.3f}")
    curves: dict[str, list[tuple[float, float]]] = {}
    home = smallest(accuracy, lost, curves)
    tell(f"{name}: smallest n {home}")
    measured = sorted({n for n in (*sizes_n, home) if n >= home})
    for n in measured:
        for key in keys(accuracy, n, PILOTS if n in sizes_n else ()):  # outside the grid the channel is known
            if key not in curves:
                curves[key] = curve(*map(int, key.split(".")))
        tell(f"{name}: n = {n}, {len(curves)} codes measured")
    return {
        "system": name,
        "data": bench.seen,
        "home": home,
        "n": measured,
        "lost": lost,
        "classifier": classifier,
        "accuracy": {str(size): share for size, share in accuracy.items()},
        "curves": curves,
        "tuning": f"{len(accuracy)} sizes x QPSK, 16-QAM, 64-QAM x {', '.join(map(str, PILOTS))} pilots, "
        "for each n, SNR and channel, on held-out training images and random words",
        "spent": {"tuning_cpu_s": round(time.process_time() - began)},
    }


def pictures(bench: Bench, form: Format, classify: Classify) -> tuple[dict[int, float], float]:
    """Bytes -> share of held-out pictures (0..1) that are told right when nothing is lost; and of lost ones."""
    held_out = bench.validation().some(MOST_IMAGES)
    images, labels = held_out.images, held_out.labels
    found, once = {}, Remembered(classify)  # of few bytes most pictures are the same grey one
    for size in LADDER:
        packed = form.pack(images, size)
        found[size] = float(np.mean(once(form.unpack(packed)) == labels))
    noise = np.random.default_rng(0).integers(0, 2, packed.shape, dtype=np.uint8)
    lost = float(np.mean(classify(form.unpack(noise)) == labels))
    enough = next(size for size, share in found.items() if share >= SAME * max(found.values()))
    useful = {size: share for size, share in found.items() if size <= enough and share > 1.5 * lost}
    return useful, lost


def keys(accuracy: dict[int, float], n: int, pilots: tuple[int, ...] = PILOTS) -> Iterator[str]:
    """SIZE.USES.ORDER_BITS of all that could be sent in n uses, without pilots and with."""
    for uses in (n, *(n - count for count in pilots)):
        for size in accuracy:
            for order_bits in ORDER_BITS:
                if uses > 0 and fits(RUNG_BITS + 8 * size, uses, order_bits):
                    yield f"{size}.{uses}.{order_bits}"


def smallest(accuracy: dict[int, float], lost: float, curves: dict[str, list[tuple[float, float]]]) -> int:
    """The least n whose best setting at BEST_DB, without pilots, is half the way from `lost` to the best accuracy."""
    wanted = (lost + max(accuracy.values())) / 2
    for n in range(STEP_N, MOST_N, STEP_N):
        for size in accuracy:
            key = f"{size}.{n}.{ORDER_BITS[-1]}"
            if accuracy[size] >= wanted and fits(RUNG_BITS + 8 * size, n, ORDER_BITS[-1]):
                curves[key] = curve(size, n, ORDER_BITS[-1])
                e = lost_share(curves[key], np.array([BEST_DB]))
                if (1.0 - e) * accuracy[size] + e * lost >= wanted:
                    return n
    raise ValueError(f"no picture gets through {MOST_N} uses")


def curve(size: int, uses: int, order_bits: int) -> list[tuple[float, float]]:
    """SNR in dB, ascending -> share of words that are lost on AWGN, about the SNR that loses half of them."""
    code = LdpcQam(RUNG_BITS + 8 * size, uses, order_bits)
    at = round(to_db(2.0 ** (code.bits / uses) - 1.0) + USUAL_GAP_DB)  # Shannon's limit, and what is usual above it
    step = 1 if lost_words(code, at, WORDS // 2) > 0.5 else -1
    while abs(at) < MOST_DB and (lost_words(code, at + step, WORDS // 2) > 0.5) == (step > 0):
        at += step
    half = at + max(step, 0)
    found = [(half + away, lost_words(code, half + away, WORDS)) for away in OFFSETS_DB]
    return [(found[0][0] - 1.0, 1.0), *found, (found[-1][0] + 2.0, 0.0)]


def lost_words(code: LdpcQam, snr_db: float, words: int, seed: int = 0) -> float:
    """Share of random words (0..1) with a wrong bit on AWGN of a known SNR."""
    rng = np.random.default_rng(seed)
    sent = rng.integers(0, 2, (words, code.bits), dtype=np.uint8)
    symbols, snr = code.encode(sent), from_db(snr_db)
    noise = rng.normal(size=(*symbols.shape, 2)) @ np.array([1.0, 1j]) * np.sqrt(0.5 / snr)
    heard = ((symbols + noise) * (snr / (1.0 + snr))).astype(np.complex64)
    found = code.decode(heard, np.full(heard.shape, snr, np.float32))
    return float((found != sent).any(1).mean())
