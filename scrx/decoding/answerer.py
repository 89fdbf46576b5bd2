"""Equalised soft symbols + per-symbol SNR -> answers, by a pair's decoder: numpy in, answers out.

Knows nothing about sockets, pilots or images, nor about what runs the decoder.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError
from common.pair.backend import open_networks
from common.pair.manifest import Manifest
from common.pair.networks import Modules, Networks, Signature
from common.text import safe
from scrx.decoding.tasks import CLASSIFY, Outputs, heads_of, tasks_of

EMBEDDING = "embedding"


def networks_of(manifest: Manifest) -> Networks:
    """The receiver's one network, `decoder`.

    symbols, float32 [B, S, 2], real and imaginary part, and gamma, float32 [B, S], linear, both 0 where not received
    -> embedding, float32 [B, E], and what the head of each task says, under the task's name.
    """
    count, heads = manifest.layout.max_symbols, heads_of(manifest)
    given = {"symbols": ("float32", (count, 2)), "gamma": ("float32", (count,))}
    made = {EMBEDDING: (manifest.decoder.embedding,), **{name: (wide,) for name, wide in heads.items()}}
    return Networks(manifest, "decoder", {"decoder": Signature(given, made)}, _modules)


def _modules(manifest: Manifest) -> Modules:
    from scrx.decoding.decoder import modules

    return modules(manifest)


class Answerer:
    """A pair's decoder on its device. Keeps nothing from batch to batch: any frame may go to any of several."""

    def __init__(
        self, manifest: Manifest, device: str = "cpu", backend: str = "torch", threads: int = 0, place: int = 0
    ) -> None:
        """All as of `open_networks`. ModelError where the pair's weights or tasks are not ours."""
        self._tasks = tasks_of(manifest)
        networks = networks_of(manifest)
        self._made = tuple(networks.signatures["decoder"].outputs)
        self._networks = open_networks(networks, backend, device, threads, place)
        self.backend = self._networks.backend

    def answer(
        self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32], tasks: Sequence[Sequence[str]]
    ) -> list[Outputs]:
        """symbols: complex64 [B, S]; gamma: float32 [B, S], linear; tasks: the names that each row asks for.

        Every task that any row asks for is answered for the batch; each row gets its own.
        """
        wanted = dict.fromkeys(task for names in tasks for task in names)
        if unknown := [name for name in wanted if name not in self._tasks]:
            raise ConfigError(f"unknown task '{safe(unknown[0], 60)}': this receiver answers {', '.join(self._tasks)}")
        scores = self.scores(symbols, gamma)
        embedding = scores.pop(EMBEDDING)
        found = {name: self._tasks[name].answers(embedding, scores.get(name), gamma) for name in wanted}
        return [{name: found[name][row] for name in names} for row, names in enumerate(tasks)]

    def logits(self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head for classes says, before any temperature: float32 [B, C]. symbols, gamma: as of `answer`."""
        return self.scores(symbols, gamma)[CLASSIFY]

    def scores(self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The embedding, and what each head says. symbols, gamma: as of `answer`."""
        parts = np.ascontiguousarray(symbols).view(np.float32).reshape(*symbols.shape, 2)
        return dict(zip(self._made, self._networks.run("decoder", parts, gamma), strict=True))
