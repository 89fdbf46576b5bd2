"""What feedback is worth in the closed loop: uses saved, at which accuracy, and what spoils it.

Knows nothing about the policies.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from training.findings.claim import NONE, markdown, percent
from training.findings.sources import Sources, of_result
from training.report.stats import written

HEAD = """\
## What feedback is worth

What does a report from the receiver save? Continuous Rayleigh fading, one frame in flight, the mean over all SNRs; uses
count pilots and control. `robust` sends everything, `average` knows the average SNR alone, `genie` the true one.
Savings stand in brackets where the interval of accuracy lets it be lower by more than a quarter of a point: those are
not known to be at equal accuracy. The way back costs no uses here, and a second round for a picture no time.
"""
SPOILED = """\
**Late, lost and wrong reports**, at 10 dB: `adaptive@price`, whose value is accuracy less a thousandth for each use, in
units of 0.0001, beside the best rate that needs no report. Above zero, feedback pays.
"""
WRONG = """\
**Wrong reports, and what the answers say of them**: points lost against right reports, among images 20 to 40 and after
40, and symbols after 40 where reports are right / believed / corrected.
"""
LOOPS = {pair: f"loop-{pair}" for pair in ("digits", "cifar10", "tinyimagenet100")}
LATE = {pair: f"late-{pair}" for pair in LOOPS}
MISLED = "misled-digits"
KINDS = {"delay": "report's age x Doppler", "loss": "reports lost", "bias": "reports off by, dB"}
SHOWN = {"delay": (0.005, 0.05, 0.2), "loss": (0.3,), "bias": (-6.0, 6.0)}
"""Abscissas that the table has, of those that were measured; all where nothing is said."""
PRICED = "adaptive@price"
EQUAL = 0.0025
"""Accuracy, 0..1, by which one system may be below another and be called as accurate, with its whole interval."""
Found = Mapping[str, Any]


def sweep_rows(sources: Sources) -> list[tuple[str, ...]]:
    """For each pair and policy: accuracy, uses, and what is saved of the robust and of the average rate."""
    found: list[tuple[str, ...]] = []
    for pair, result in LOOPS.items():
        report: Found = sources.found(result) or {"sweep": [], "rows": []}
        cycles = min((one["doppler_cycles"] for one in report["rows"]), default=0)
        for row in report["sweep"]:
            less, snrs = row["less"], ", ".join(f"{snr:g}" for snr in row["snr_db"])
            saved = (_saved(row, name) for name in ("robust", "average"))
            found.append((
                pair, f"{snrs}; {cycles:g}", row["system"], *_both(row), _less(less.get("robust"), "accuracy"), *saved,
                _less(less.get("genie"), "accuracy"), of_result(result),
            ))  # fmt: skip
    return [*found, *_absent(sources, LOOPS, 8)]


def _absent(sources: Sources, results: Mapping[str, str], cells: int) -> list[tuple[str, ...]]:
    """A row of all pairs without a result, none where each has one. cells: empty ones."""
    pairs = [pair for pair, result in results.items() if sources.found(result) is None]
    return [(", ".join(pairs), NONE, *[""] * cells)] if pairs else []


def _both(row: Found) -> tuple[str, str]:
    return percent(row["accuracy"][0], 2), f"{row['uses'][0]:.1f}"


def _less(other: Found | None, name: str) -> str:
    if other is None:
        return ""
    mean, low, high = (100 * value for value in other[name])
    return written(mean, low, high)


def _saved(row: Found, name: str) -> str:
    """Share of the other's uses that a policy saves; in brackets where it may be less accurate by more than EQUAL."""
    other = row["less"].get(name)
    if other is None or other["uses"][0] > 0:
        return ""
    uses, lowest = other["uses"][0], other["accuracy"][1]
    share = f"{-100 * uses / (row['uses'][0] - uses):.0f} %"
    return f"({share})" if lowest < -EQUAL else share


def spoiled_rows(sources: Sources) -> list[tuple[str, ...]]:
    """What is left of the value over the best fixed rate, and of accuracy, where reports are late, lost or wrong."""
    found: list[tuple[str, ...]] = []
    for pair, result in LATE.items():
        report: Sequence[Found] = (sources.found(result) or {"rows": []})["rows"]
        for kind, what in KINDS.items():
            for row in report:
                if row["experiment"] == kind and row["system"] == PRICED and row["x"] in SHOWN.get(kind, (row["x"],)):
                    mean, low, high = (1e4 * one for one in row["less"]["fixed"]["value"])
                    found.append((
                        pair, what, f"{row['x']:g}", *_both(row), written(mean, low, high, 0),
                        _less(row["less"].get("genie"), "accuracy"), of_result(result),
                    ))  # fmt: skip
    return [*found, *_absent(sources, LATE, 6)]


def misled_rows(sources: Sources) -> list[tuple[str, ...]]:
    """Points lost to wrong reports, taken at their word and with the answers heard."""
    report: Sequence[Found] = (sources.found(MISLED) or {"rows": []})["rows"]
    return [
        (row["channel"], f"{row['snr_db']:g}", f"{row['bias_db']:+g}", percent(row["then"]["right"]),
         _points(row["next"]["lost_trusted"]), _points(row["next"]["lost_corrected"]),
         " / ".join(_points(row["then"][f"lost_{how}"]) for how in ("trusted", "corrected")),
         " / ".join(f"{row['then'][f'symbols_{how}']:.1f}" for how in ("right", "trusted", "corrected")),
         of_result(MISLED))
        for row in report
    ]  # fmt: skip


def _points(found: Sequence[float]) -> str:
    mean, low, high = found
    return written(mean, low, high, 1)


def section(sources: Sources) -> list[str]:
    """The three tables, as Markdown."""
    swept = ("pair", "SNRs, dB; Doppler cycles", "policy", "accuracy, %", "uses", "less robust, points",
             "saved of robust", "of average", "less genie, points", "from")  # fmt: skip
    late = (
        "pair",
        "what is wrong",
        "how much",
        "accuracy, %",
        "uses",
        "value less fixed",
        "less genie, points",
        "from",
    )
    wrong = ("channel", "SNR, dB", "off by, dB", "right, %", "lost, believed", "lost, corrected", "the same after 40",
             "symbols", "from")  # fmt: skip
    return [
        HEAD, *markdown(swept, sweep_rows(sources)), SPOILED, *markdown(late, spoiled_rows(sources)),
        WRONG, *markdown(wrong, misled_rows(sources)),
    ]  # fmt: skip
