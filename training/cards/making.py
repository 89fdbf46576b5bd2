"""Measured decisions -> a result card: what the runner of a suite calls for each of its points.

Knows nothing about systems. What no one tells is found out: commit, machine, versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import SemlinkError
from training.cards.card import CLOSE, SCHEMA, SNR, USES, Card, Data, altered, sealed, summary, write
from training.cards.packing import pack
from training.report.measured_on import commit, machine

POINT = ("system", "channel", "csi", "n", "snr_db", "seeds", "mean_uses", "tx_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all points of a run share, and what one system needs besides.

    command: as it was typed, paths cut down. weights: file -> SHA-256, of the system alone. streams: K of them, in the
    order of the decisions. retrain, hours: where the weights are not at hand, the command that makes them.
    """

    suite: str
    pair: str
    pair_id: str
    data: Data
    command: str
    seed: int
    streams: tuple[int, ...]
    weights: Mapping[str, str] = field(default_factory=dict)
    retrain: str | None = None
    hours: float | None = None


def write_card(
    folder: Path,
    point: Mapping[str, Any],
    decided: NDArray[np.int64] | None,
    right: NDArray[np.float64],
    context: Context,
    label_code: NDArray[np.float64] | None = None,
) -> Path:
    """Write the card of one point into `folder`; returns its path.

    point: as the suites' JSON has it, its accuracy not null. decided: int64 [K, N], a row for each stream, or None
    where a system only knows probabilities; right: float64 [K, N]; label_code: the same of the label code at the same
    place, if there is one: what was won or lost against it, paired over images. SemlinkError where accuracy and
    decisions contradict each other: such a card is not written.
    """
    accuracy, low, high = summary(right)
    if not abs(accuracy - point["accuracy"]) <= CLOSE:
        raise SemlinkError(
            f"{point['system']}: its accuracy {point['accuracy']} is not that of its decisions, {accuracy}"
        )
    against = None if label_code is None else _against(right, label_code)
    card = sealed(Card(
        schema=SCHEMA, suite=context.suite, **{name: point[name] for name in POINT}, accuracy=accuracy,
        ci95=(low, high), pair=context.pair, pair_id=context.pair_id, weights=dict(context.weights), data=context.data,
        seed=context.seed, streams=tuple(context.streams), snr=SNR, uses=USES, command=context.command,
        commit=commit(), machine=machine(), kind="replay" if context.retrain is None else "retrain",
        hours=context.hours, retrain=context.retrain, against_label_code=against,
        decisions=None if decided is None else pack(decided), right=pack(right), seal={},
    ))  # fmt: skip
    if wrong := altered(card):
        raise SemlinkError(f"{point['system']}: no card can be made of it: {wrong[0]}")
    return write(card, folder)


def _against(right: NDArray[np.float64], label_code: NDArray[np.float64]) -> tuple[float, ...]:
    """Accuracy less that of the label code, 0..1, and the ends of its interval."""
    difference = right.mean(0) - label_code.mean(0)
    _, low, high = summary(difference[None])
    return float(difference.mean()), low, high
