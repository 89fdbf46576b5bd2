"""Decisions over the link beside the direct ones, question by question, and what is told of them.

Knows nothing about processes or networks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from common.channel.spec.spec import ChannelSpec
from common.console import say
from common.errors import SemlinkError
from training.crossing.link_of_three import LinkOfThree
from training.crossing.subjects import Question, Subject
from training.report.progress import bar
from training.report.tabular import print_table
from training.systems.system import NotThere


@dataclass(frozen=True, slots=True)
class Crossed:
    """What came of one question. differ, lost: images that were decided otherwise, or not at all, over the link."""

    question: Question
    images: int = 0
    differ: int = 0
    lost: int = 0
    reason: str = ""
    """Why no link can answer it; empty where one could."""
    failed: str = ""
    """What went wrong where one could and did not."""

    @property
    def verdict(self) -> str:
        """In words."""
        lost = f", {self.lost} of them lost" if self.lost else ""
        return (
            self.reason
            or self.failed
            or (f"{self.differ} of {self.images} differ{lost}" if self.differ else "identical")
        )


def cross(about: tuple[str, dict[str, Any]], subject: Subject, questions: Sequence[Question]) -> list[Crossed]:
    """Ask everything both ways. about: how other processes make the same subject."""
    found = []
    with bar(Console(stderr=True), "over the link", len(questions)) as advance, LinkOfThree(about) as link:
        for question in questions:
            try:
                ends, direct = subject.ends(question), subject.direct(question)
            except (NotThere, SemlinkError) as why:
                found.append(Crossed(question, reason=str(why)))
            else:
                found.append(_beside(question, direct, link, ends.channel))
            advance(now=found[-1].verdict)
    return found


def _beside(question: Question, direct: NDArray[np.int64], link: LinkOfThree, channel: ChannelSpec) -> Crossed:
    count = len(direct)
    try:
        linked = link.answers(question, channel)
    except SemlinkError as error:
        if not link.alive:
            raise
        return Crossed(question, count, count, count, failed=str(error))
    return Crossed(question, count, int((direct != linked).sum()), int((linked < 0).sum()))


def show(crossed: Sequence[Crossed], columns: Sequence[str]) -> int:
    """A row for each curve that a link answered, a line for each reason why others were not; the exit code.

    columns: what tells curves apart; along a curve go SNR and streams.
    """
    asked = [one for one in crossed if not one.reason]
    curves: dict[tuple[str, ...], list[Crossed]] = {}
    for one in asked:
        curves.setdefault(tuple(str(one.question[name]) for name in columns), []).append(one)
    if curves:
        places = list(dict.fromkeys(curve[0] for curve in curves))
        ordered = sorted(curves.items(), key=lambda found: places.index(found[0][0]))
        rows = [(*curve, len(points), points[0].images, _verdict(points)) for curve, points in ordered]
        title = "decisions over the link beside the direct ones"
        print_table(title, (*columns, "points", "images", "verdict"), rows, left=(columns[0], "verdict"))
    for reason, count in Counter(one.reason for one in crossed if one.reason).items():
        say(f"not over a link, {count} points: {reason}")
    wrong = sum(one.differ > 0 for one in asked)
    say(f"{len(asked)} points over the link: {'all identical' if not wrong else f'{wrong} differ'}")
    return int(wrong > 0) if asked else 2


def _verdict(points: Sequence[Crossed]) -> str:
    """Of a curve: identical, or which of its points are not."""
    wrong = [
        f"{one.question['snr_db']:g} dB, stream {one.question['stream']}: {one.verdict}" for one in points if one.differ
    ]
    return "; ".join(wrong) or "identical"
