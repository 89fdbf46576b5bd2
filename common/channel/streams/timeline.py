"""What holds from which air sample on. Knows nothing about streams, and of randomness only what it is keyed by.

Mark   parameters that begin to hold at an air sample, with all that had accumulated by then
Plan   the marks that every stream comes to by itself: those of a schedule, or just the one at air sample 0

A plan may have millions of rows: they are kept as numbers (17 bytes each), and a mark is made when a stream comes to
it, from the one before or from the last of those that were kept by the way, one in STRIDE.
"""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from common.channel.models.clocks import Clocks, Rates
from common.channel.models.materials import Model, Tables
from common.channel.spec.spec import CHANNEL, ChannelSpec, check_together, is_profile, require_flat
from common.errors import ConfigError

Values = dict[str, Any]
Change = tuple[int, Values]
"""Air sample, and the parameters that have new values from there on."""

STRIDE = 256
_MARKS = 64
_NAMES = tuple(CHANNEL)
_NUMBER = {name: number for number, name in enumerate(_NAMES)}
_KINDS = {name: one.kind for name, one in CHANNEL.items()}
_TOGETHER = frozenset(("fading", "rate", "doppler", "cir_trace", "cfo"))
_TABLES = frozenset(("fading", "delay_spread", "rate", "spectrum", "snr_trace", "cir_trace"))


class Mark:
    """From `clocks.at` on `model` holds. No two marks are equal: what is computed for one is kept under it."""

    __slots__ = ("clocks", "model")

    def __init__(self, model: Model, clocks: Clocks) -> None:
        self.model, self.clocks = model, clocks


class Plan:
    """`spec` at air sample 0, and what a schedule changes. Raises ConfigError where a change is impossible.

    changes: in the order of their air samples, several at one sample in the order in which they are made. framed:
    refuse what frames cannot use.
    """

    def __init__(
        self, spec: ChannelSpec, changes: Iterable[Change] = (), tables: Tables | None = None, framed: bool = False
    ) -> None:
        self.tables = tables or Tables()
        self._framed = framed
        self._starts, self._rows = array("q", [0]), array("q", [0])  # mark k: its air sample, and the end of its rows
        self._names, self._numbers = array("B"), array("d")
        self._texts: dict[str, int] = {}
        self._marks: OrderedDict[int, Mark] = OrderedDict()
        values: Values = asdict(spec)
        self._check(values, values)
        if framed:
            spec.require_flat()
        self._kept: list[tuple[Values, Clocks]] = [(values, Clocks.start(Rates.of(values)))]
        self._here = 0, dict(values), self._kept[0][1]
        for at, parameters in _joined(changes):
            self._add(at, parameters)
        self._text = list(self._texts)

    @property
    def spec(self) -> ChannelSpec:
        """The parameters at air sample 0."""
        return self.mark(0).model.spec

    def __len__(self) -> int:
        return len(self._starts)

    def find(self, sample: int) -> tuple[int, int | None]:
        """Which mark holds at an air sample, and the air sample of the next one."""
        number = bisect_right(self._starts, sample) - 1
        return number, self._starts[number + 1] if number + 1 < len(self._starts) else None

    def mark(self, number: int) -> Mark:
        """Mark 0 .. len - 1."""
        if (mark := self._marks.get(number)) is None:
            values, clocks = self._at(number)
            mark = self._marks[number] = Mark(Model(ChannelSpec(**values), self.tables), clocks)
            if len(self._marks) > _MARKS:
                self._marks.popitem(last=False)
        self._marks.move_to_end(number)
        return mark

    def _at(self, number: int) -> tuple[Values, Clocks]:
        """Parameters and clocks of a mark, from those of an earlier one."""
        here, values, clocks = self._here
        kept = number // STRIDE
        if not kept * STRIDE <= here <= number:
            here, (values, clocks) = kept * STRIDE, self._kept[kept]
            values = dict(values)
        for following in range(here + 1, number + 1):
            before = Rates.of(values)
            for row in range(self._rows[following - 1], self._rows[following]):
                name, value = _NAMES[self._names[row]], self._numbers[row]
                values[name] = self._text[int(value)] if _KINDS[name] is str else _KINDS[name](value)
            clocks = clocks.turned(before, self._starts[following], Rates.of(values))
        self._here = number, values, clocks
        return values, clocks

    def _add(self, at: int, parameters: Values) -> None:
        """Make a mark at `at`, after all others; one at 0 is made part of the first."""
        _, values, clocks = self._here
        before = Rates.of(values)
        values.update(parameters)
        try:
            self._check(values, parameters)
        except ConfigError as error:
            raise ConfigError(f"air sample {at}: {error}") from None
        if not at:
            clocks = Clocks.start(Rates.of(values))
            self._kept = [(dict(values), clocks)]
            self._here = 0, values, clocks
            return
        for name, value in parameters.items():
            self._names.append(_NUMBER[name])
            self._numbers.append(self._texts.setdefault(value, len(self._texts)) if isinstance(value, str) else value)
        self._starts.append(at)
        self._rows.append(len(self._names))
        clocks = clocks.turned(before, at, Rates.of(values))
        number = len(self._starts) - 1
        if number % STRIDE == 0:
            self._kept.append((dict(values), clocks))
        self._here = number, values, clocks

    def _check(self, values: Values, changed: Values) -> None:
        """Refuse impossible parameters; only what can have become so is looked at.

        What frames cannot use comes first: who mended anything else of it would meet this next.
        """
        if self._framed and not _TOGETHER.isdisjoint(changed):
            require_flat(values["fading"], values["cfo"])
        for name, value in changed.items():
            CHANNEL[name].check(value)
        if not _TOGETHER.isdisjoint(changed):
            check_together(values["fading"], values["rate"], values["doppler"], values["cir_trace"])
        if not _TABLES.isdisjoint(changed):
            self._check_tables(values)

    def _check_tables(self, values: Values) -> None:
        fading = values["fading"]
        if is_profile(fading):
            self.tables.taps(fading).check(values["delay_spread"], values["rate"])
        self.tables.spectrum(values["spectrum"])
        if values["snr_trace"]:
            self.tables.snr_trace(values["snr_trace"])
        if values["cir_trace"]:
            self.tables.cir_trace(values["cir_trace"])


def _joined(changes: Iterable[Change]) -> Iterator[Change]:
    """One change for each air sample. Raises ConfigError where they are out of order."""
    last, joined = 0, Values()
    for at, parameters in changes:
        if at != last:
            if at < last:
                raise ConfigError(f"air sample {at} comes after {last}; sort the rows by time")
            if joined:
                yield last, joined
            last, joined = at, parameters
        else:
            joined = {**joined, **parameters}
    if joined:
        yield last, joined
