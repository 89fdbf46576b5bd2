"""Equalised soft symbols + per-symbol SNR -> answers, in closed form: numpy in, answers out.

Knows nothing about sockets, pilots or images.

    words -> posterior of the decision -> classes; with it, what else was received -> mean of the features
"""

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, ModelError
from common.pair.manifest import Manifest
from common.pair.speech import speech_from
from common.pair.tensors import SPEECH, below, checked, load_half
from common.text import safe
from scrx.decoding.tasks import Outputs, tasks_of
from scrx.demodulation.demodulate import SoftBatch

LEAST = 1e-30


class Answerer:
    """A pair's receiving half. Keeps nothing from batch to batch: any frame may go to any of several."""

    def __init__(self, manifest: Manifest) -> None:
        """ModelError where the pair's weights or tasks are not ours."""
        where, classes = str(manifest.path / "decoder.safetensors"), len(manifest.labels)
        tensors = load_half(manifest, "decoder")
        self._speech = speech_from(below(tensors, SPEECH), manifest, where)
        heads = below(tensors, "heads.")
        self._tasks = tasks_of(manifest, heads)
        if heads:
            raise ModelError(f"{where} has a strange tensor 'heads.{safe(min(heads))}': no task of the pair has it")
        self._classes = checked(tensors, {"classes": ("float32", (classes, classes))}, where)["classes"]
        if (self._classes < 0).any() or not np.allclose(self._classes.sum(1), 1.0, atol=1e-3):
            raise ModelError(f"{where}: 'classes' holds no probabilities; restore or train the pair again")

    def answer(self, soft: SoftBatch) -> list[Outputs]:
        """Every task that any row asks for is answered for the batch; each row gets its own."""
        wanted = dict.fromkeys(task for names in soft.tasks for task in names)
        if unknown := [name for name in wanted if name not in self._tasks]:
            raise ConfigError(f"unknown task '{safe(unknown[0], 60)}': this receiver answers {', '.join(self._tasks)}")
        classes, features = self.hear(soft)
        found = {name: self._tasks[name].answers(classes, features) for name in wanted}
        return [{name: found[name][row] for name in names} for row, names in enumerate(soft.tasks)]

    def hear(self, soft: SoftBatch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probability of each class, float32 [B, C], and mean of the features, float32 [B, F]."""
        posterior, features = self._speech.hear(soft.symbols, soft.gamma, soft.place, soft.behind)
        return posterior @ self._classes, features

    def logits(self, soft: SoftBatch) -> NDArray[np.float32]:
        """Log-probabilities of the classes: float32 [B, C]."""
        found: NDArray[np.float32] = np.log(np.maximum(self.hear(soft)[0], LEAST))
        return found
