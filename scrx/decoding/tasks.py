"""What a receiver answers: one class per task. A further task is a further class, and its name in a pair's manifest.

Knows nothing about the network that it is answered from: numpy in, an answer per row out.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.pair.manifest import Manifest
from common.text import safe

Output = Mapping[str, Any]
"""One answer, as a RESULT carries it: texts, numbers and lists of them."""
Outputs = dict[str, Output]
"""One frame's answers: task name -> answer."""
CLASSIFY = "classify"


class Task(ABC):
    """One task of a pair. `head`: outputs of its own linear layer on the embedding; 0: it needs none."""

    name: ClassVar[str]

    def __init__(self, manifest: Manifest, head: int = 0) -> None:
        self.manifest, self.head = manifest, head

    @abstractmethod
    def answers(
        self, embedding: NDArray[np.float32], scores: NDArray[np.float32] | None, gamma: NDArray[np.float32]
    ) -> Sequence[Output]:
        """One answer per row.

        embedding: float32 [B, E]; scores: what its head says, float32 [B, head], None without one; gamma: linear SNR of
        the symbols, float32 [B, S], 0 where nothing was received.
        """

    @staticmethod
    def confidence(output: Output) -> float | None:
        """0 to 1: how sure an answer is, by which the transmitter is asked for more; None: it does not say."""
        return None


class Classify(Task):
    """{"index", "name", "confidence"}: the most probable class, and its calibrated softmax probability."""

    name = CLASSIFY

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest, len(manifest.labels))

    def answers(
        self, embedding: NDArray[np.float32], scores: NDArray[np.float32] | None, gamma: NDArray[np.float32]
    ) -> Sequence[Output]:
        assert scores is not None
        labels = self.manifest.labels
        with np.errstate(all="ignore"):  # whatever weights give: what is no number is no confidence either
            scaled = scores / self._temperature(gamma)
            likely = np.exp(scaled - scaled.max(-1, keepdims=True))
            best, confidence = scaled.argmax(-1), likely.max(-1) / likely.sum(-1)
        return [
            {"index": index, "name": labels[index], "confidence": share}
            for index, share in zip(best.tolist(), confidence.tolist(), strict=True)
        ]

    @staticmethod
    def confidence(output: Output) -> float | None:
        return float(output.get("confidence", 1.0))

    def _temperature(self, gamma: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [B, 1]: by the shortest rate that holds all that was received, and its SNR; 1 without calibration."""
        calibration = self.manifest.calibration
        if calibration is None:
            return np.ones((1, 1), np.float32)
        received = gamma.shape[1] - np.argmax(gamma[:, ::-1] > 0.0, axis=1)
        table = np.array(calibration.temperature, np.float32)
        rate, bins = np.searchsorted(self.manifest.layout.rates, received), snr_bins(gamma, calibration.edges_db)
        chosen: NDArray[np.float32] = table[rate, bins]
        return chosen[:, None]


class Embedding(Task):
    """{"vector": [E floats]}: what all heads are given."""

    name = "embedding"

    def answers(
        self, embedding: NDArray[np.float32], scores: NDArray[np.float32] | None, gamma: NDArray[np.float32]
    ) -> Sequence[Output]:
        return [{"vector": row} for row in embedding.tolist()]


TASKS: dict[str, type[Task]] = {task.name: task for task in (Classify, Embedding)}
"""Every task that this receiver knows."""


def tasks_of(manifest: Manifest) -> dict[str, Task]:
    """The tasks that a pair's manifest names; ModelError for one that nobody here knows."""
    if unknown := [name for name in manifest.tasks if name not in TASKS]:
        known = ", ".join(TASKS)
        raise ModelError(
            f"pair {safe(manifest.name, 60)} answers the task '{safe(unknown[0], 60)}', and this version of semlink "
            f"knows {known}: it needs another version"
        )
    return {name: TASKS[name](manifest) for name in manifest.tasks}


def heads_of(manifest: Manifest) -> dict[str, int]:
    """Task -> outputs of its head. There is one for classes whatever the pair's tasks are."""
    return {CLASSIFY: len(manifest.labels)} | {name: one.head for name, one in tasks_of(manifest).items() if one.head}


def confidence_of(outputs: Outputs) -> float:
    """That of the first answer that says one, in the order of the manifest; 1 where none does: no more is needed."""
    for name, output in outputs.items():
        task = TASKS.get(name)
        confidence = None if task is None else task.confidence(output)
        if confidence is not None:
            return confidence
    return 1.0


def snr_bins(gamma: NDArray[np.float32], edges_db: Sequence[float]) -> NDArray[np.int64]:
    """gamma: float32 [B, S], linear, 0 where nothing was received -> bin of the mean over the received, int64 [B]."""
    mean = gamma.sum(1) / np.maximum((gamma > 0.0).sum(1), 1)
    bins: NDArray[np.int64] = np.digitize(10.0 * np.log10(np.maximum(mean, 1e-9)), np.asarray(edges_db))
    return bins
