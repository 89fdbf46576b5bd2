"""A row of a claim's table and its verdict; tables in Markdown. Knows nothing about what is compared.

won, lost       ahead or behind somewhere, and nowhere the other way
won and lost    both, at different places
even            the same by construction, or to within a fiftieth
not resolved    both were measured, and nowhere do they differ by more than chance allows
not measured    one of the two has no number
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from training.findings.sources import Standing

WON, LOST, BOTH, EVEN = "won", "lost", "won and lost", "even"
OPEN, NONE = "not resolved", "not measured"
VERDICTS = (WON, LOST, BOTH, EVEN, OPEN, NONE)
SAME = 0.02
"""Share by which two sizes or times may differ and be called even."""


@dataclass(frozen=True, slots=True)
class Row:
    """pair: ours; against: what it is beside; cells: of the table's own columns; source: links to files."""

    pair: str
    against: str
    cells: tuple[str, ...]
    verdict: str
    source: str
    rivals: int = 1
    """How many `against` names."""


def of_standing(found: Standing | None) -> str:
    """The verdict on a system that is ahead and behind at so many places."""
    if found is None:
        return NONE
    return {(True, True): BOTH, (True, False): WON, (False, True): LOST}.get((found.ahead > 0, found.behind > 0), OPEN)


def of_less(ours: float, theirs: float) -> str:
    """The verdict on two numbers of which the smaller is the better."""
    if abs(ours - theirs) <= SAME * theirs:
        return EVEN
    return WON if ours < theirs else LOST


def of_interval(low: float, high: float) -> str:
    """The verdict on a difference with this interval, where more is better."""
    return WON if low > 0 else LOST if high < 0 else OPEN


def of_times(low: float, high: float) -> str:
    """The verdict on how many times ours another takes, by the ends of its interval, where less is better."""
    if low >= 1 - SAME and high <= 1 + SAME:
        return EVEN
    return WON if low > 1 + SAME else LOST if high < 1 - SAME else OPEN


def unmeasured(pair: str, against: Sequence[str], columns: int) -> Row:
    """A row without numbers, for all rivals that a pair has none beside."""
    return Row(pair, ", ".join(against), ("-",) * columns, NONE, "", len(against))


def rows_table(columns: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """The table of a claim. columns: headings of the cells."""
    headings = ("pair", "beside", *columns, "verdict", "from")
    return markdown(headings, [(one.pair, one.against, *one.cells, _bold(one.verdict), one.source) for one in rows])


def _bold(verdict: str) -> str:
    return f"**{verdict}**" if verdict in (WON, LOST, BOTH) else verdict


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, a line each, and an empty line after it."""
    lines = [headings, ("---",) * len(headings), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def percent(share: float | None, digits: int = 1) -> str:
    """A share, 0..1, in %; a dash where there is none."""
    return "-" if share is None else f"{100 * share:.{digits}f}"
