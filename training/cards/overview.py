"""All cards as one Markdown table. Knows nothing about how a card is verified."""

from collections.abc import Sequence
from pathlib import Path

from training.cards.card import SNR, USES, Card, read
from training.suites.roster import LABEL

SHIPPED = Path(__file__).parent / "shipped"
"""Cards that come with the project."""
OVERVIEW = Path(__file__).parent / "README.md"
HEAD = f"""# Result cards

Each number below is a file of `shipped/`: what it was measured of and where, every decision, and a seal over all of it.

    python -m training.verify                      # every card of this table, computed again
    python -m training.verify CARD                 # one: identical, k of N differ, differs, or what was altered
    python -m training.verify --table              # writes this table

SNR: {SNR}.
n: {USES}. Intervals: 95 %, bootstrap over images.
Against the label code: on the same images and channels, paired, in points. Won and lost are by the interval of that one
place and those channels: with other channels, and over all places, it may be otherwise ([report](../REPORT.md)).

"""
COLUMNS = ("system", "pair", "channel, CSI", "n", "SNR", "accuracy in %", "against the label code", "images x channels",
           "kind", "made on", "card")  # fmt: skip


def shipped() -> list[Path]:
    """Files of the cards that come with the project."""
    return sorted(SHIPPED.glob("*.json"))


def overview(paths: Sequence[Path]) -> str:
    """The document that lists cards: a row for each, sound or not."""
    cards = sorted(((read(path), path) for path in paths), key=lambda one: _place(one[0]))
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(_row(card, path) for card, path in cards)]
    return HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _place(card: Card) -> tuple[str, str, str, int, float, str]:
    return card.suite, card.channel, card.csi, card.n, card.snr_db, card.system


def _row(card: Card, path: Path) -> tuple[str, ...]:
    (low, high), made = card.ci95, card.machine
    kind = card.kind if card.retrain is None else f"`{card.retrain}`, {card.hours:g} h"
    drawn = f", channel seed {card.seed}" if card.seed else ""
    return (
        card.system, f"{card.pair} {card.pair_id[:12]}", f"{card.channel}, {card.csi}", str(card.n),
        f"{card.snr_db:g} dB", f"{100 * card.accuracy:.2f} ({100 * low:.2f} .. {100 * high:.2f})", against(card),
        f"{card.data.images} x {card.seeds}{drawn}", kind, f"{made.get('cpu', '?')}, torch {made.get('torch', '?')}",
        f"[card](shipped/{path.name})",
    )  # fmt: skip


def against(card: Card) -> str:
    """Won or lost against the label code at the same place, or neither: its interval decides."""
    if card.system == LABEL:
        return "is it"
    if card.against_label_code is None:
        return "not compared"
    mean, low, high = (100 * one for one in card.against_label_code)
    word = "won" if low > 0 else "lost" if high < 0 else "even"
    return f"{word}, {mean:+.2f} ({low:+.2f} .. {high:+.2f})"
