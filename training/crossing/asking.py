"""`training.evaluate --over-the-link`: what was typed -> questions, both ways, what is told. The exit codes.

Knows nothing about how anything is decided.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from common.console import say
from common.files import write_json
from common.images.datasets import exactly
from common.shutdown import interrupt_on_end
from training.crossing.comparing import Crossed, cross, show
from training.crossing.of_suites import SuiteSubject
from training.crossing.subjects import PairSubject, questions_of
from training.lab.evaluation import Setting
from training.suites.definitions import Suite
from training.suites.whole import Order


def ask_pair(
    pair: str, settings: Sequence[Setting], dataset: str, split: str, most: int | None, json_file: Path | None
) -> int:
    """Every setting of a pair; 0: all the same, 1: some differ or failed, 2: no link can answer any.

    json_file: where the points are to be written.
    """
    interrupt_on_end()  # so that no process is left, however this one ends
    subject = PairSubject(pair, exactly(dataset), split, most)
    crossed = cross(("pair", asdict(subject)), subject, questions_of(settings))
    if json_file:
        write_json(json_file, _document(crossed))
    return show(crossed, ("channel", "csi", "symbols", "told"))


def ask_suite(suite: Suite, order: Order) -> int:
    """Every system of a suite at every place; as `ask_pair`. Writes OUT/SUITE-over-the-link.json."""
    interrupt_on_end()
    subject = SuiteSubject(suite.name, {**asdict(order), "out": str(order.out.resolve())})
    there = replace(subject, order={**subject.order, "dataset": exactly(subject.dataset)})
    crossed = cross(("suite", asdict(there)), subject, subject.questions())
    path = order.out / f"{suite.name}-over-the-link.json"
    write_json(path, _document(crossed))
    code = show(crossed, ("system", "channel", "n"))
    say(f"written: {path}")
    return code


def _document(crossed: Sequence[Crossed]) -> dict[str, Any]:
    """JSON knows no NaN, so what is no number is null."""
    return {
        "points": [
            {
                **{name: None if value != value else value for name, value in one.question.items()},
                "images": one.images, "differ": one.differ, "lost": one.lost, "reason": one.reason or None,
            }
            for one in crossed
        ]
    }  # fmt: skip
