"""A metric of one's own: how often the class that fares worst is told right, which the mean accuracy hides.

    sctx --peer 127.0.0.1:5556 --json > answers.jsonl
    python tests/examples/metric.py answers.jsonl

A metric is a function of answers and truths. Answers come from the link (here: what `sctx --json` wrote) or, without
sockets, from `training.lab.direct` (`evaluate_pair.py` beside this file); it need not know from which. One that the
tables of the project should show gets its interval from `training/report/stats.py`.
"""

import json
import sys
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from training.report.stats import bootstrap


def by_class(answers: ArrayLike, labels: ArrayLike) -> dict[int, tuple[float, float, float]]:
    """answers, labels: int [N], numbers of classes -> for each true class its share of right answers, 95 % interval."""
    told, truth = np.asarray(answers), np.asarray(labels)
    found = {}
    for label in np.unique(truth):
        right = (told[truth == label] == label).astype(float)
        found[int(label)] = bootstrap(right)
    return found


def main(lines: Iterable[str]) -> tuple[str, float]:
    """lines: as `sctx --json` writes them. The class of least accuracy, and that accuracy (0..1)."""
    items = [item for item in map(json.loads, lines) if item.get("label") is not None]
    names = {item["answer"]: item["name"] for item in items}
    shares = by_class([item["answer"] for item in items], [item["label"] for item in items])
    worst = min(shares, key=lambda label: shares[label][0])
    mean, low, high = (100 * share for share in shares[worst])
    print(f"{names.get(worst, worst)}: {mean:.1f} % right ({low:.1f} .. {high:.1f})")
    return str(names.get(worst, worst)), shares[worst][0]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        main(file)
