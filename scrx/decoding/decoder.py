"""Semantic decoder: equalised soft symbols + per-symbol SNR -> embedding and answers.

Knows nothing about sockets, pilots or images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ConfigError
from common.pair.blocks import MlpBlock
from common.pair.device import one_thread
from common.pair.manifest import Manifest, built, load_half
from common.pair.shapes import DecoderShape
from scrx.decoding.tasks import CLASSIFY, EMBEDDING, Outputs


class Decoder(nn.Module):
    """p = R_mu(Y^, gamma): a residual MLP over soft symbols, no hard demodulation.

    The log-likelihood of a codeword c is linear in gamma x^ (2 Re<y, h c>/N0), so each symbol enters as x^, as
    x^ scaled by log(1 + gamma), and with log(1 + gamma) itself, which is 0 exactly where nothing was received.
    """

    def __init__(self, shape: DecoderShape, symbols: int, classes: int) -> None:
        super().__init__()
        self.inner = nn.Linear(5 * symbols, shape.hidden)
        self.blocks = nn.Sequential(*(MlpBlock(shape.hidden) for _ in range(shape.blocks)))
        self.norm = nn.LayerNorm(shape.hidden)
        self.embed = nn.Linear(shape.hidden, shape.embedding)
        self.heads = nn.ModuleDict({CLASSIFY: nn.Linear(shape.embedding, classes)})

    def forward(self, symbols: Tensor, gamma: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """symbols: complex64 [B, S], gamma: float [B, S], linear; both 0 where not received.

        Returns the embedding, float [B, E], and logits per head, {"classify": float [B, C]}.
        """
        belief = torch.log1p(gamma.clamp(max=1e4)) / 3.0
        x = torch.cat((symbols.real, symbols.imag, symbols.real * belief, symbols.imag * belief, belief), -1)
        embedding = self.embed(self.norm(self.blocks(self.inner(x))))
        return embedding, {name: head(embedding.relu()) for name, head in self.heads.items()}


def load_decoder(manifest: Manifest, device: torch.device | str = "cpu") -> Decoder:
    """The pair's receiver half, ready to answer (evaluation mode)."""
    symbols, classes, where = manifest.layout.max_symbols, len(manifest.labels), manifest.path / "decoder.safetensors"
    shape, weights = manifest.decoder, load_half(manifest, "decoder")
    least = shape.weights(symbols, classes)
    return built(lambda: Decoder(shape, symbols, classes), least, weights, str(where)).to(device)


class Answerer:
    """A pair's decoder on its device. Keeps nothing from batch to batch: any frame may go to any of several."""

    def __init__(self, manifest: Manifest, device: torch.device | str = "cpu") -> None:
        self._labels, self._device = manifest.labels, torch.device(device)
        self._decoder = load_decoder(manifest, device)
        self._rates, self._calibration = manifest.layout.rates, manifest.calibration

    def answer(
        self, symbols: NDArray[np.complex64], gamma: NDArray[np.float32], tasks: Sequence[Sequence[str]]
    ) -> list[Outputs]:
        """symbols: complex64 [B, S]; gamma: float32 [B, S], linear; tasks: the names that each row asks for.

        Every task that any row asks for is computed for the batch; each row gets its own.
        """
        wanted = tuple(dict.fromkeys(task for names in tasks for task in names))
        with one_thread(self._device):
            rows = decode(
                self._decoder, torch.from_numpy(symbols).to(self._device), torch.from_numpy(gamma).to(self._device),
                self._labels, wanted, temperature=torch.from_numpy(self._temperature(gamma)).to(self._device),
            )  # fmt: skip
        return [{name: row[name] for name in names} for row, names in zip(rows, tasks, strict=True)]

    def _temperature(self, gamma: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [B]: by the shortest rate that holds all that was received, and its SNR; 1 without calibration."""
        if self._calibration is None:
            return np.ones(len(gamma), np.float32)
        received = gamma.shape[1] - np.argmax(gamma[:, ::-1] > 0.0, axis=1)
        table = np.array(self._calibration.temperature, np.float32)
        chosen: NDArray[np.float32] = table[
            np.searchsorted(self._rates, received), snr_bins(gamma, self._calibration.edges_db)
        ]
        return chosen


def snr_bins(gamma: NDArray[np.float32], edges_db: Sequence[float]) -> NDArray[np.int64]:
    """gamma: float32 [B, S], linear, 0 where nothing was received -> bin of the mean over the received, int64 [B]."""
    mean = gamma.sum(1) / np.maximum((gamma > 0.0).sum(1), 1)
    bins: NDArray[np.int64] = np.digitize(10.0 * np.log10(np.maximum(mean, 1e-9)), np.asarray(edges_db))
    return bins


@torch.inference_mode()
def decode(
    decoder: Decoder,
    symbols: Tensor,
    gamma: Tensor,
    labels: Sequence[str],
    tasks: Sequence[str],
    top: int = 1,
    temperature: Tensor | float = 1.0,
) -> list[Outputs]:
    """Answer every task for a batch: one {task: answer} per row.

    symbols: complex64 [B, S]; gamma: float32 [B, S], linear; temperature: of the softmax, float [B] or one for all.
    `classify` gives {"index", "name", "confidence"} (softmax probability) and, for top > 1,
    "top": [[index, probability], ...]; `embedding` gives {"vector": [E floats]}.
    """
    embedding, logits = decoder(symbols, gamma)
    divisor = torch.as_tensor(temperature, device=symbols.device).reshape(-1, 1)
    answers: list[Outputs] = [{} for _ in range(len(embedding))]
    for task in tasks:
        if task == CLASSIFY:
            rows = classify(logits[CLASSIFY] / divisor, labels, top)
        elif task == EMBEDDING:
            rows = [{"vector": row} for row in embedding.tolist()]
        else:
            raise ConfigError(f"unknown task '{task}': this receiver answers {CLASSIFY} and {EMBEDDING}")
        for answer, row in zip(answers, rows, strict=True):
            answer[task] = row
    return answers


def classify(logits: Tensor, labels: Sequence[str], top: int = 1) -> list[Mapping[str, Any]]:
    """logits: float [B, C] -> per row the most probable class, its label and its softmax probability."""
    probability, index = logits.softmax(-1).topk(min(top, logits.shape[-1]), -1)
    rows: list[Mapping[str, Any]] = []
    for ps, ks in zip(probability.tolist(), index.tolist(), strict=True):
        row: dict[str, Any] = {"index": ks[0], "name": labels[ks[0]], "confidence": ps[0]}
        if top > 1:
            row["top"] = [[k, p] for k, p in zip(ks, ps, strict=True)]
        rows.append(row)
    return rows
