"""Semantic decoder: equalised soft symbols + per-symbol SNR -> embedding and answers. The receiver's only torch.

Knows nothing about sockets, pilots or images.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ConfigError
from common.pair.blocks import MlpBlock
from common.pair.device import one_thread, pick_device
from common.pair.halves import built, load_half
from common.pair.manifest import Manifest
from common.pair.shapes import DecoderShape
from common.text import safe
from scrx.decoding.tasks import CLASSIFY, Outputs, tasks_of


class Decoder(nn.Module):
    """p = R_mu(Y^, gamma): a residual MLP over soft symbols, no hard demodulation, and a linear head for each task.

    The log-likelihood of a codeword c is linear in gamma x^ (2 Re<y, h c>/N0), so each symbol enters as x^, as
    x^ scaled by log(1 + gamma), and with log(1 + gamma) itself, which is 0 exactly where nothing was received.
    """

    def __init__(self, shape: DecoderShape, symbols: int, heads: Mapping[str, int]) -> None:
        """heads: task -> outputs, for each task that has a head."""
        super().__init__()
        self.inner = nn.Linear(5 * symbols, shape.hidden)
        self.blocks = nn.Sequential(*(MlpBlock(shape.hidden) for _ in range(shape.blocks)))
        self.norm = nn.LayerNorm(shape.hidden)
        self.embed = nn.Linear(shape.hidden, shape.embedding)
        self.heads = nn.ModuleDict({name: nn.Linear(shape.embedding, wide) for name, wide in heads.items()})

    def forward(self, symbols: Tensor, gamma: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """symbols: complex64 [B, S], gamma: float [B, S], linear; both 0 where not received.

        Returns the embedding, float [B, E], and what each head says, {"classify": float [B, C]}.
        """
        belief = torch.log1p(gamma.clamp(max=1e4)) / 3.0
        x = torch.cat((symbols.real, symbols.imag, symbols.real * belief, symbols.imag * belief, belief), -1)
        embedding = self.embed(self.norm(self.blocks(self.inner(x))))
        return embedding, {name: head(embedding.relu()) for name, head in self.heads.items()}


def load_decoder(manifest: Manifest) -> Decoder:
    """The pair's receiver half, ready to answer (evaluation mode). It has a head for classes whatever its tasks are."""
    symbols, where = manifest.layout.max_symbols, manifest.path / "decoder.safetensors"
    heads = {CLASSIFY: len(manifest.labels)} | {name: one.head for name, one in tasks_of(manifest).items() if one.head}
    weights = load_half(manifest, "decoder")
    return built(lambda: Decoder(manifest.decoder, symbols, heads), weights, str(where))


def share(device: str, index: int) -> str:
    """Process `index`'s part of a machine with several devices. device: as `--device` names it."""
    shared = device in ("auto", "cuda") and torch.cuda.is_available()
    return f"cuda:{index % torch.cuda.device_count()}" if shared else device


class Answerer:
    """A pair's decoder on its device, numpy in and answers out. Keeps nothing from batch to batch: any frame may go to
    any of several."""

    def __init__(self, manifest: Manifest, device: str = "cpu", threads: int = 0) -> None:
        """device, threads: as of `pick_device`. ModelError where the pair's weights or tasks are not ours."""
        self._device = pick_device(device, threads)
        self._decoder = load_decoder(manifest).to(self._device)
        self._tasks = tasks_of(manifest)

    def answer(
        self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32], tasks: Sequence[Sequence[str]]
    ) -> list[Outputs]:
        """symbols: complex64 [B, S]; gamma: float32 [B, S], linear; tasks: the names that each row asks for.

        Every task that any row asks for is answered for the batch; each row gets its own.
        """
        wanted = dict.fromkeys(task for names in tasks for task in names)
        if unknown := [name for name in wanted if name not in self._tasks]:
            raise ConfigError(f"unknown task '{safe(unknown[0], 60)}': this receiver answers {', '.join(self._tasks)}")
        with one_thread(self._device):
            embedding, scores = self._run(symbols, gamma)
        found = {name: self._tasks[name].answers(embedding, scores.get(name), gamma) for name in wanted}
        return [{name: found[name][row] for name in names} for row, names in enumerate(tasks)]

    def logits(self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head for classes says, before any temperature: float32 [B, C]. symbols, gamma: as of `answer`."""
        return self._run(symbols, gamma)[1][CLASSIFY]

    @torch.inference_mode()
    def _run(
        self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        given = (torch.from_numpy(one).to(self._device) for one in (symbols, gamma))
        embedding, scores = self._decoder(*given)
        return embedding.cpu().numpy(), {name: one.cpu().numpy() for name, one in scores.items()}
