"""All checks of the audit, one after the other, whatever becomes of each. Knows nothing about tables."""

from collections.abc import Callable, Iterator

from common.text import safe
from training.auditing import alike, leaks, over_air
from training.auditing.finding import Finding
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
        except (Exception, SystemExit) as error:  # the codec is somebody else's: whatever it raises is what was found
            name = getattr(check, "__name__", "check").strip("_").replace("_", " ")
            yield Finding(name, False, float("nan"), "no error", f"{type(error).__name__}: {safe(error)}")
