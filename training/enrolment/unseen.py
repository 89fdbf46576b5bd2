"""Classes that a pair has never seen, enrolled over a channel, beside what else could be sent in the same uses.

Knows nothing about sockets, tables or figures.

    link        the pair's embedding after the channel, as `scrx enrol` has it
    noiseless   the same with every symbol and no noise
    features    the transmitter's own features, without a channel
    pq-code     these as bits in a short code, known N0; so many bits as are best on the very pictures asked about
    finite      these by an ideal code of the same length (`ideal.py`); capacity: of any length
    word        the link with every symbol the word's, as where nobody told the SNR
    answer      what the pair answers among its own classes, and no more: all that a label code could bring
    teacher     a teacher's embedding without a channel, teacher-pq: as pq-code has it, where a teacher is given
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common.images.imageset import ImageSet
from common.pair.manifest import Manifest
from scrx.heads.space import Floats, Space
from training.enrolment.episodes import Episodes, Strangers, Told, rows_of
from training.enrolment.heard import Heard, heard_at, setting_for
from training.enrolment.ideal import GaussianCode, capacity_bits, finite_bits
from training.enrolment.sent import QuantisedFeatures, answers_of, bits_for, own_features
from training.enrolment.whitening import draw_examples, fit_space, whitening
from training.lab.evaluation import Lab

CLEAN_DB = 60.0
QUANTISED = 2000
"""Pictures by which the quantiser is made."""
IDEAL = {"finite": finite_bits, "capacity": capacity_bits}
Triple = Sequence[Floats]
"""Of the pair's own pictures, of those shown and of those asked about, float32 [N, D] each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. csi: `known` or `estimated`; unknown: as of `scrx --unknown`."""

    channel: str
    csi: str
    symbols: tuple[int, ...]
    snrs_db: tuple[float, ...]
    examples: tuple[int, ...]
    draws: int
    unknown: float
    seed: int


@dataclass(frozen=True, slots=True)
class Point:
    """system: as above; symbols, snr_db: None where there is no channel; strangers: of the link alone."""

    system: str
    symbols: int | None
    snr_db: float | None
    examples: int
    told: Told
    strangers: Strangers | None = None
    bits: float | None = None


class Unseen:
    """A pair, its space, pictures that it may know (`own`) and pictures of new classes: to enrol from, to ask about.

    teacher: embeddings of these pictures by a teacher, or None.
    """

    def __init__(
        self, manifest: Manifest, space: Space, own: ImageSet, shown: ImageSet, asked: ImageSet, plan: Plan,
        teacher: Triple | None = None,
    ) -> None:  # fmt: skip
        self._manifest, self._space, self._plan = manifest, space, plan
        self._shown, self._asked, self._own = shown, asked, own
        self._labs = Lab(manifest, shown.images), Lab(manifest, asked.images)
        self._features: Triple = [own_features(manifest, one) for one in (own, shown, asked)]
        self._teacher = teacher

    def points(self) -> Iterator[Point]:
        """Everything of the plan, the cheapest last."""
        manifest, plan = self._manifest, self._plan
        yield from self._told("features", self._features)
        if self._teacher:
            yield from self._told("teacher", self._teacher)
        most = manifest.layout.max_symbols
        for symbols, snr in [(n, snr) for n in plan.symbols for snr in plan.snrs_db]:
            yield from self._link("link", symbols, snr)
            yield from self._link("word", symbols, snr)
            yield from self._answers(symbols, snr)
            yield from self._quantised("pq-code", self._features, symbols, snr)
            for system, bits in IDEAL.items():
                yield from self._ideally(system, symbols, snr, bits(symbols, snr))
            if self._teacher:
                yield from self._quantised("teacher-pq", self._teacher, symbols, snr)
        yield from self._link("noiseless", most, CLEAN_DB)

    def _link(self, system: str, symbols: int, snr: float) -> Iterator[Point]:
        plan, clean = self._plan, system == "noiseless"
        where = ("awgn", "known") if clean else (plan.channel, plan.csi)
        setting = setting_for(*where, snr, symbols, plan.seed)
        if system == "word":
            setting = replace(setting, told_db=math.nan)
        shown, asked = (
            heard_at(self._manifest, lab, images, setting, stream)
            for stream, (lab, images) in enumerate(zip(self._labs, (self._shown, self._asked), strict=True))
        )
        episodes = Episodes(self._space, shown, asked, plan.draws, plan.seed)
        for count in plan.examples:
            strangers = None if system != "link" else episodes.strangers(count, plan.unknown)
            told = episodes.accuracy(count)
            yield Point(system, None if clean else symbols, None if clean else snr, count, told, strangers)

    def _answers(self, symbols: int, snr: float) -> Iterator[Point]:
        """Two pictures of a class have at most their answer in common."""
        plan = self._plan
        setting = setting_for(plan.channel, plan.csi, snr, symbols, plan.seed)
        shown, asked = (
            rows_of(answers_of(lab.answer(setting, stream)[0]), images.labels)
            for stream, (lab, images) in enumerate(zip(self._labs, (self._shown, self._asked), strict=True))
        )
        for count in plan.examples:
            yield Point("answer", symbols, snr, count, counted(shown, asked, count, plan.draws, plan.seed))

    def _quantised(self, system: str, features: Triple, symbols: int, snr: float) -> Iterator[Point]:
        """Over AWGN with known N0 whatever the link meets, and no pilots: it can only be worse elsewhere."""
        random, found = np.random.default_rng(self._plan.seed), list[Point]()
        for bits in bits_for(symbols, snr):
            coder = QuantisedFeatures(features[0][:QUANTISED], bits, symbols)
            sent = [coder.sent(one, snr, random) for one in features]
            found += self._told(system, sent, symbols, snr, bits)
        yield from best(found)

    def _ideally(self, system: str, symbols: int, snr: float, bits: float) -> Iterator[Point]:
        """Errors count alike in all directions, or as they do within classes: what is better on what is asked about.

        Nothing where not a bit comes across.
        """
        if not bits:
            return
        random, own, found = np.random.default_rng(self._plan.seed), self._features[0], list[Point]()
        for metric in (np.eye(own.shape[1]), whitening(own, self._own.labels)):
            coder = GaussianCode(own, metric, bits)
            sent = [coder.sent(one, random) for one in self._features]
            found += self._told(system, sent, symbols, snr, round(bits, 1))
        yield from best(found)

    def _told(
        self, system: str, made: Triple, symbols: int | None = None, snr: float | None = None,
        bits: float | None = None,
    ) -> Iterator[Point]:  # fmt: skip
        """By the same mathematics, with statistics of its own."""
        own = rows_of(made[0], self._own.labels)
        space = fit_space(own, own, "", "", system, bins=1, calibrated=False)
        shown, asked = rows_of(made[1], self._shown.labels), rows_of(made[2], self._asked.labels)
        episodes = Episodes(space, shown, asked, self._plan.draws, self._plan.seed)
        for count in self._plan.examples:
            yield Point(system, symbols, snr, count, episodes.accuracy(count), bits=bits)


def counted(shown: Heard, asked: Heard, count: int, draws: int, seed: int) -> Told:
    """Answers, one of C numbers 1: the class whose examples gave the same answer most often, by chance among equals."""
    classes, random, right = np.unique(asked.label), np.random.default_rng(seed), []
    pools = [np.flatnonzero(shown.label == one) for one in classes]
    label = np.searchsorted(classes, asked.label)
    for _ in range(draws):
        drawn = [draw_examples(pool, count, random) for pool in pools]
        often = np.array([shown.embedding[rows].mean(0) for rows in drawn])
        scores = asked.embedding @ often.T
        ties = scores >= scores.max(1, keepdims=True) - 1e-6
        right.append(float((ties[np.arange(len(label)), label] / ties.sum(1)).mean()))
    low, high = np.quantile(right, (0.025, 0.975))
    return Told(float(np.mean(right)), float(low), float(high))


def best(points: Sequence[Point]) -> list[Point]:
    """For each number of examples the most accurate."""
    found = dict[int, Point]()
    for point in points:
        if point.examples not in found or point.told.accuracy > found[point.examples].told.accuracy:
            found[point.examples] = point
    return list(found.values())


def by_system(points: Sequence[Point]) -> dict[tuple[str, int | None, int], list[Point]]:
    """(system, symbols, examples) -> its points, by SNR."""
    found: dict[tuple[str, int | None, int], list[Point]] = {}
    for point in points:
        found.setdefault((point.system, point.symbols, point.examples), []).append(point)
    return found
