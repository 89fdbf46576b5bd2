"""All checks of the audit, one after the other, whatever becomes of each. Knows nothing about tables."""

from collections.abc import Callable, Iterator
from functools import partial

from common.pair.manifest import Manifest, find_pair
from common.text import safe
from training.auditing import alike, leaks, over_air
from training.auditing.finding import Finding
from training.auditing.headers import headers, networks
from training.auditing.pair_codec import PairCodec
from training.auditing.subject import Subject

Check = Callable[[Subject], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    alike.forms, alike.batches, alike.repeats, leaks.power, leaks.by_symbols_alone, over_air.noise, over_air.fades,
    over_air.estimates, over_air.falls,
)  # fmt: skip


def audit(subject: Subject, more: tuple[Check, ...] = ()) -> Iterator[Finding]:
    """What each check finds. A codec that cannot do what a check asks of it has not passed it."""
    for check in (*CHECKS, *more):
        try:
            yield from check(subject)
        except Exception as error:  # the codec is somebody else's: whatever it raises is what was found
            name = getattr(check, "__name__", "")
            yield Finding(name, False, float("nan"), "no error", f"{type(error).__name__}: {safe(error)}")


def of_pair(pair: str) -> tuple[Manifest, tuple[Check, ...]]:
    """A pair, and what is checked of it besides: its networks, and the headers of its frames."""
    manifest = find_pair(pair)
    return manifest, (_networks, partial(_headers, manifest))


def _networks(subject: Subject) -> Iterator[Finding]:
    if isinstance(subject.codec, PairCodec):
        yield from networks(subject, subject.codec)


def _headers(manifest: Manifest, subject: Subject) -> Iterator[Finding]:
    yield from headers(subject, manifest)
