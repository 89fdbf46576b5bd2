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
from common.pair.tensors import Tensors, below
from common.text import safe

Output = Mapping[str, Any]
"""One answer, as a RESULT carries it: texts, numbers and lists of them."""
Outputs = dict[str, Output]
"""One frame's answers: task name -> answer."""
CLASSIFY = "classify"


class Task(ABC):
    """One task of a pair. `weights`: what the decoder's file holds for it, by name (`heads.NAME.*` there)."""

    name: ClassVar[str]

    def __init__(self, manifest: Manifest, weights: Tensors) -> None:
        self.manifest, self.weights = manifest, weights

    @abstractmethod
    def answers(self, classes: NDArray[np.float32], features: NDArray[np.float32]) -> Sequence[Output]:
        """One answer per row. classes: probability of each, float32 [B, C]; features: their mean, float32 [B, F]."""

    @staticmethod
    def confidence(output: Output) -> float | None:
        """0 to 1: how sure an answer is, by which the transmitter is asked for more; None: it does not say."""
        return None


class Classify(Task):
    """{"index", "name", "confidence"}: the most probable class, and its probability."""

    name = CLASSIFY

    def answers(self, classes: NDArray[np.float32], features: NDArray[np.float32]) -> Sequence[Output]:
        labels, best = self.manifest.labels, classes.argmax(-1)
        return [
            {"index": index, "name": labels[index], "confidence": share}
            for index, share in zip(best.tolist(), classes[np.arange(len(best)), best].tolist(), strict=True)
        ]

    @staticmethod
    def confidence(output: Output) -> float | None:
        return float(output.get("confidence", 1.0))


class Embedding(Task):
    """{"vector": [F floats]}: the features, as far as they came."""

    name = "embedding"

    def answers(self, classes: NDArray[np.float32], features: NDArray[np.float32]) -> Sequence[Output]:
        return [{"vector": row} for row in features.tolist()]


TASKS: dict[str, type[Task]] = {task.name: task for task in (Classify, Embedding)}
"""Every task that this receiver knows."""


def tasks_of(manifest: Manifest, tensors: Tensors | None = None) -> dict[str, Task]:
    """The tasks that a pair's manifest names; ModelError for one that nobody here knows.

    tensors: what the decoder's file holds for tasks, "NAME.*" each; those of the tasks are taken out.
    """
    held = {} if tensors is None else tensors
    if unknown := [name for name in manifest.tasks if name not in TASKS]:
        known = ", ".join(TASKS)
        raise ModelError(
            f"pair {safe(manifest.name, 60)} answers the task '{safe(unknown[0], 60)}', and this version of semlink "
            f"knows {known}: it needs another version"
        )
    return {name: TASKS[name](manifest, below(held, f"{name}.")) for name in manifest.tasks}


def attainable_of(outputs: Outputs, attainable: Sequence[float]) -> float:
    """That of the class that is answered; 1 where it is not known."""
    index = outputs.get(CLASSIFY, {}).get("index")
    return float(attainable[index]) if type(index) is int and 0 <= index < len(attainable) else 1.0


def confidence_of(outputs: Outputs) -> float:
    """That of the first answer that says one, in the order of the manifest; 1 where none does: no more is needed."""
    for name, output in outputs.items():
        task = TASKS.get(name)
        confidence = None if task is None else task.confidence(output)
        if confidence is not None:
            return confidence
    return 1.0
