"""Whether an image is sent, and answered, as if it were the only one; and twice the same.

Knows nothing about channels. Symbols are compared to 1e-4, for no processor adds up a batch of one in the order of a
batch of many; where such a difference crosses the boundary of a quantiser, one image of a thousand may have others.
"""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from training.auditing.finding import Finding, at_most
from training.auditing.subject import Subject
from training.systems.codec import Codec

CLOSE = 1e-4
SHARE = 1e-3
"""Of all images may differ by more."""
ALONE = 64
"""Images that are sent one by one."""
FEW = 7
"""Images of a small batch."""


def forms(subject: Subject) -> Iterator[Finding]:
    """One row of `symbols` finite numbers for each image, however many there are; a class for each row."""
    wrong = []
    for images in (subject.images, *(subject.images[k : k + 1] for k in range(min(ALONE, len(subject.images))))):
        before, found = subject.codec.symbols, np.asarray(subject.codec.encode_told(images.copy(), subject.told_db))
        good = found.shape == (len(images), before) and subject.codec.symbols == before and found.dtype.kind == "c"
        wrong.append(not (good and bool(np.isfinite(found).all())))
    yield at_most("form: symbols", sum(wrong), 0, "batches that are not complex [B, S] of the S that the codec says")
    answers = subject.answers_of(subject.codec, subject.received)
    good = answers.shape == (len(subject.images),) and answers.dtype.kind in "iu"
    yield at_most("form: answers", 0 if good else 1, 0, "batches that are not answered by integers [B]")


def batches(subject: Subject) -> Iterator[Finding]:
    """A batch of one is a batch of many, in any order, beside any neighbours."""
    images, symbols, rows = subject.images, subject.symbols, np.arange(min(ALONE, len(subject.images)))
    order = np.random.default_rng(1).permutation(len(images))
    strange = _strangers(images)
    alone = np.concatenate([subject.encode(images[k : k + 1]) for k in rows])
    beside = subject.encode(np.concatenate((strange, images)))[len(strange) :]
    yield _share("symbols alone", _apart(alone, symbols[rows]), "images that are sent otherwise in a batch of one")
    twice = np.concatenate(_parts(order))
    mixed = np.concatenate([subject.encode(images[part]) for part in _parts(order)])
    yield _share(
        "symbols in any order",
        _apart(mixed, symbols[twice]),
        "images that are sent otherwise in another order or in small batches",
    )
    yield _share(
        "symbols beside strangers",
        _apart(beside, symbols),
        "images that are sent otherwise beside black, white and random ones",
    )
    soft, answers = subject.received, subject.answers
    one_by_one = np.concatenate([subject.decode(soft, slice(k, k + 1)) for k in rows])
    yield _share("answers alone", one_by_one != answers[rows], "images that are answered otherwise in a batch of one")
    mixed_answers = np.concatenate([subject.decode(soft, part) for part in _parts(order)])
    yield _share("answers in any order", mixed_answers != answers[twice], "images that are answered otherwise then")


def repeats(subject: Subject) -> Iterator[Finding]:
    """Twice the same gives the same bits, whatever random numbers others draw. No sampling, no dropout, no memory."""
    symbols, answers, unlike, unlike_answers = subject.symbols, subject.answers, 0.0, 0.0
    for seed in (1, 2, 3):
        _seed(seed)
        unlike = max(unlike, _unequal(symbols, subject.encode(subject.images)))
        unlike_answers = max(unlike_answers, float(np.mean(answers != subject.decode(subject.received))))
    yield at_most("symbols twice", unlike, 0, "share of images that are sent otherwise when they are sent again")
    yield at_most("answers twice", unlike_answers, 0, "share of images that are answered otherwise then")
    fresh = subject.answers_of(subject.make(), subject.received)
    yield _share(
        "answers without memory", fresh != subject.answers, "images that a codec answers otherwise which sent nothing"
    )
    if subject.elsewhere:
        yield _elsewhere(subject)


def _elsewhere(subject: Subject) -> Finding:
    """In another process that has random numbers of its own and hears before it has sent anything."""
    import torch

    rows = slice(ALONE)
    images, soft = subject.images[rows], subject.received
    given = subject.make, images, subject.told_db, soft.symbols[rows], soft.gamma[rows], torch.get_num_threads()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        answers, symbols = pool.submit(alone_there, *given).result()
    here, answered = subject.encode(images), subject.decode(soft, rows)
    differ = (here != symbols).any(-1) | (answered != answers) if here.shape == symbols.shape else np.ones(1)
    return at_most(
        "the same elsewhere", float(np.mean(differ)), 0, "share of images that another process treats otherwise"
    )


def alone_there(
    make: Callable[[], Codec], images: NDArray[np.uint8], told_db: float, symbols: NDArray[np.complex64],
    gamma: NDArray[np.float32], threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:  # fmt: skip
    """What a codec answers to some symbols, and then sends for some images."""
    import torch

    torch.set_num_threads(threads)
    _seed(12345)
    codec = make()
    answers = np.asarray(codec.decode_told(symbols, gamma, told_db)).astype(np.int64)
    return answers, np.asarray(codec.encode_told(images, told_db)).astype(np.complex64)


def _seed(seed: int) -> None:
    import torch

    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def _parts(order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """All at once, and in small batches."""
    return [order, *(order[start : start + FEW] for start in range(0, len(order), FEW))]


def _strangers(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shape = images.shape[1:]
    noise = np.random.default_rng(2).integers(0, 256, (13, *shape), np.uint8)
    return np.concatenate((np.zeros((1, *shape), np.uint8), np.full((1, *shape), 255, np.uint8), noise))


def _apart(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> NDArray[np.bool_]:
    """Rows that are not the same, bool [N]; what is no number is like nothing."""
    if one.shape != other.shape:
        return np.ones(max(len(one), 1), bool)
    differ: NDArray[np.bool_] = ~(np.abs(one - other).max(-1) <= CLOSE)
    return differ


def _unequal(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> float:
    return float(np.mean((one != other).any(-1))) if one.shape == other.shape else 1.0


def _share(check: str, differ: NDArray[np.bool_], says: str) -> Finding:
    return at_most(check, float(np.mean(differ)), SHARE, f"share of {says}")
