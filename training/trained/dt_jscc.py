"""DT-JSCC (Xie et al. 2023, arXiv 2209.10382): an image as letters of a codebook, each a point of 16-PSK, read hard.

Knows nothing about pairs, files or how settings are chosen. One model for each SNR, trained on AWGN, as published: unit
circle, natural order, PSNR = Es/N0. Letters are drawn in training only.
"""

import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.phy.decibel import from_db
from training.recipes.specs import LossSpec
from training.systems.codec import Codec
from training.trained.discrete import Discrete, WordShape
from training.trained.family import Family, Space, Weights
from training.trained.fronts import OURS, Examples, Front, widened
from training.trained.small_nets import Settings, fitted

ORDER = 16
SNRS_DB = (-6, 0, 6, 14)
"""Of the models for 16 uses, which is what was published."""
FEW_DB = (3,)
"""Of the models for other numbers of uses."""


class Psk(Discrete):
    """The bottleneck with its letters sent as PSK over AWGN of one SNR."""

    def __init__(self, shape: WordShape, loss: LossSpec, entropy: float, snr_db: float) -> None:
        super().__init__(shape, loss, entropy)
        self.spread = math.sqrt(from_db(-snr_db))

    def draw_way(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randn(batch, self.positions, dtype=torch.complex64, generator=random),)

    def heard(self, letters: Tensor, *way: Tensor) -> Tensor:
        return nearest(points(letters, self.order) + self.spread * way[0], self.order)


def points(letters: Tensor, order: int) -> Tensor:
    """int64 [...] -> complex64 [...]: exp(2 pi i k / order)."""
    angle = letters.to(torch.float32) * (2 * math.pi / order)
    return torch.polar(torch.ones_like(angle), angle)


def nearest(symbols: Tensor, order: int) -> Tensor:
    """complex [...] of any power -> the nearest point of PSK, int64 [...]."""
    return (symbols.angle() * (order / (2 * math.pi))).round().long() % order


class DtJsccCodec(Codec):
    """One model: the best letter of each position, and whatever was read decoded; the SNR is not looked at."""

    def __init__(self, net: Psk, front: Front) -> None:
        self._net, self._front = net, front
        self.symbols = net.positions
        parameters, macs = net.sender_cost
        self.parameters, self.macs = front.parameters + parameters, float(front.macs + macs)

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        letters = self._net.scores(self._front.of(images)).argmax(-1)
        sent: NDArray[np.complex64] = points(letters, self._net.order).numpy()
        return sent

    @torch.no_grad()
    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        letters = nearest(torch.from_numpy(symbols), self._net.order)
        answers: NDArray[np.int64] = self._net.answers(letters).argmax(-1).numpy()
        return answers


class DtJscc(Family):
    """On its own network, as published for MNIST: one linear layer, letters, three linear layers."""

    name = "dt-jscc"
    source = "Xie et al. 2023, arXiv 2209.10382: K = 16, 16-PSK, hard decisions, CE - lambda H, a model for each SNR"
    space: ClassVar[Space] = {
        "entropy": (1e-3, 1e-2, 1e-4),
        "lr": (1e-3, 1e-2),
        "before": (0, 64),
        "hidden": (64, 96),
        "whole": (128,),
        "hard": (1.0,),
        "epochs": (150, 300),
        "batch": (128,),
    }
    reference = ("d16@0",)

    def members(self) -> tuple[str, ...]:
        others = tuple(f"d{uses}@{snr}" for uses in (8, 12, 32, 64) for snr in FEW_DB)
        return (*(f"d16@{snr}" for snr in SNRS_DB), *others)

    def fit(self, member: str, examples: Examples, settings: Settings, folder: Path, seed: int) -> Weights:
        wide, classes = examples.front.wide, len(examples.images.classes)
        net = fitted(lambda: self._net(member, settings, wide, classes), examples, settings, folder, seed)
        return dict(net.state_dict())

    def codec(
        self, member: str, weights: Weights, settings: Settings, front: Front, classes: int, uses: int, told_db: float
    ) -> Codec | None:
        if _parts(member)[0] != uses:
            return None
        net = self._net(member, settings, front.wide, classes)
        net.load_state_dict(weights)
        return DtJsccCodec(net.eval(), front)

    @staticmethod
    def _net(member: str, settings: Settings, wide: int, classes: int) -> Psk:
        uses, snr_db = _parts(member)
        hidden = widened(settings["hidden"], classes)
        shape = WordShape(wide, classes, uses, ORDER, settings["before"], hidden, settings["whole"])
        return Psk(shape, LossSpec(hard=settings["hard"], tau=2.0), settings["entropy"], snr_db)


class DtJsccOurs(DtJscc):
    """The same after the pair's own encoder, told the pair's own soft answers: what its front end is worth."""

    name = "dt-jscc-ours"
    source = f"{DtJscc.source}; on the pair's own encoder and its distilled answers"
    front = OURS
    space: ClassVar[Space] = {**DtJscc.space, "hard": (0.1, 1.0), "epochs": (80, 150)}

    def members(self) -> tuple[str, ...]:
        return tuple(f"d{uses}@{snr}" for uses, snrs in ((16, SNRS_DB), (12, FEW_DB)) for snr in snrs)


def _parts(member: str) -> tuple[int, float]:
    """`d16@-6`: symbols and dB."""
    uses, _, snr = member.removeprefix("d").partition("@")
    return int(uses), float(snr)
