"""What may be audited, as it is named on a command line: a pair, a system of a suite, somebody's codec.

Knows nothing about any check. Each comes with the checks that it alone can be put to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from common.errors import ConfigError
from common.images.imageset import ImageSet
from training.auditing.examine import Check
from training.auditing.finding import Finding, at_most
from training.auditing.headers import headers, networks
from training.auditing.pair_codec import PairCodec
from training.auditing.subject import MIDDLE_DB, Subject
from training.systems.bench import Bench
from training.systems.carried import Carried
from training.systems.codec import Codec
from training.systems.entrance import open_codec
from training.systems.ours import Ours
from training.systems.system import NotThere, Place, System

CODEC_SYMBOLS = 16
"""Of a codec that is made for as many as are asked for."""


@dataclass(frozen=True, slots=True)
class Where:
    """The pair and the images on which anything is audited; everything in it crosses to another process."""

    suite: str
    pair: str
    dataset: str | None
    split: str | None
    images: int

    @property
    def bench(self) -> Bench:
        """Opened once."""
        return _bench(self)


@cache
def _bench(where: Where) -> Bench:
    return Bench.open(where.suite, where.pair, where.dataset, where.split, most=where.images)


def of_pair(where: Where, symbols: int | None = None) -> tuple[Subject, tuple[Check, ...]]:
    """A pair at one of its rates, None: all symbols."""
    bench, manifest = where.bench, where.bench.manifest
    if symbols not in (None, *manifest.layout.rates):
        raise ConfigError(f"--symbols {symbols} is not a rate of this pair: {manifest.layout.rates}")
    make = partial(PairCodec, where.pair, symbols)
    subject = _subject(where, manifest.name, make, manifest.layout.pilots)
    place = subject.place(manifest.layout.max_symbols, MIDDLE_DB)

    def inside(given: Subject) -> Iterator[Finding]:
        if isinstance(given.codec, PairCodec):
            yield from networks(given, given.codec)

    def frames(given: Subject) -> Iterator[Finding]:
        yield from headers(given, manifest)

    more = inside, frames, partial(labels_unseen, bench, Ours, place)
    return subject, more


def of_system(where: Where, name: str, symbols: int | None = None) -> tuple[Subject, tuple[Check, ...]]:
    """A system of the suite: one that is a codec at n = `symbols` without pilots, one that is a pair as `of_pair`.

    ConfigError where it is neither.
    """
    system = _system(name, where.bench)
    if isinstance(system, Ours):
        own = system.bench
        return of_pair(replace(where, pair=str(own.manifest.path), dataset=own.dataset), symbols)
    place = Place("awgn", "perfect", symbols or CODEC_SYMBOLS, MIDDLE_DB)
    make = partial(_codec_of, where, name, place)
    try:
        make()
    except NotThere as why:
        raise ConfigError(f"--system {name}: {why}") from None
    return replace(_subject(where, name, make, 0), csi="perfect"), (
        partial(labels_unseen, where.bench, partial(_system, name), place),
    )


def of_codec(where: Where, spec: str, symbols: int | None = None) -> tuple[Subject, tuple[Check, ...]]:
    """Somebody's codec, made for so many symbols. ConfigError says what is wrong with how it is named."""
    entrance, symbols = open_codec(spec), symbols or CODEC_SYMBOLS
    subject = _subject(where, entrance.name, partial(_made, where, spec, symbols), entrance.pilots)
    entrance.codec(symbols, where.bench)  # whose mistakes are told as such
    return subject, (partial(labels_unseen, where.bench, entrance.system, subject.place(symbols, MIDDLE_DB)),)


def labels_unseen(bench: Bench, make: Callable[[Bench], System], place: Place, subject: Subject) -> Iterator[Finding]:
    """The answers of a system are the same whatever the labels are that it is scored by."""
    images, order = bench.test, np.random.default_rng(6).permutation(len(bench.labels))
    mixed = ImageSet(images.name, images.images, images.labels[order], images.classes)
    other = Bench(bench.suite, bench.manifest, bench.dataset, mixed, bench.device, bench.split)
    found = [make(one).measure(place, 0, 0).decided for one in (bench, other)]
    differ = 1.0 if found[0] is None or found[1] is None else float(np.mean(found[0] != found[1]))
    yield at_most("other labels", differ, 0, "share of answers that change when the labels are permuted")


def _subject(where: Where, name: str, make: Callable[[], Codec], pilots: int) -> Subject:
    bench = where.bench
    csi = "perfect" if pilots else "estimated"  # without pilots: non-coherent
    return Subject(name, make, bench.images, bench.labels, pilots, csi, elsewhere=True)


def _codec_of(where: Where, name: str, place: Place) -> Codec:
    system = _system(name, where.bench)
    if not isinstance(system, Carried):
        raise ConfigError(f"--system {name} is no codec that could be audited by itself")
    return system.way(place).codec


def _system(name: str, bench: Bench) -> System:
    from training.suites.roster import roster

    return roster(bench, [name])[name]


def _made(where: Where, spec: str, symbols: int) -> Codec:
    return open_codec(spec).make(symbols, where.bench)
