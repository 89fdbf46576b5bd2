"""Methods in the very form and on the very data of their papers, so that what they reach can be held to a figure there.

Knows nothing about pairs or suites. Digits of MNIST (28 x 28): whoever has the set in a folder, or reaches a hub, runs
it; nothing of it is shipped. The tenth of train that is held out chooses nothing: the settings are the papers'.

    vfe       Shao et al. 2022, VL-VFE, code of the authors (github.com/shaojiawei07/VL-VFE): one linear layer, peak
              power, sigma 0.05 to 0.32, beta 1e-3; figure of their Examples/MNIST_Result1.png
    dt-jscc   Xie et al. 2023, code of the authors (github.com/SongjieXie/Discrete-TaskOriented-JSCC): 16 letters of 64
              numbers, K = 16, lambda 1e-3; no figure of theirs is known here, so it is held to its own network without
              a channel
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.images.datasets import load_images
from common.images.imageset import ImageSet
from sctx.encoder import normalise
from training.data.images import fingerprint
from training.recipes.specs import LossSpec
from training.systems.bench import SHIPPED
from training.trained.discrete import WordShape
from training.trained.dt_jscc import ORDER, Psk, nearest, points
from training.trained.small_nets import SmallNet, fitted
from training.trained.vfe import Analog

HARD = LossSpec(hard=1.0)
REPEATS = 4
"""Noises for each test image."""
DIMENSIONS = 32
"""Of VFE: as many as the authors' trained model leaves open of its 64 (32 or 33), so that the rate is the figure's."""
LETTERS, TRAINED_DB = 16, 12.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What a paper or its code shows: share of right answers at a PSNR; where no figure is known, None."""

    psnr_db: float
    right: float | None
    where: str


FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "vfe": (
        Figure(10.0, 0.964, "VL-VFE, Examples/MNIST_Result1.png, read to 0.2 points"),
        Figure(20.0, 0.978, "VL-VFE, Examples/MNIST_Result1.png, read to 0.2 points"),
    ),
    "dt-jscc": (Figure(TRAINED_DB, None, "itself without a channel"),),
}


class Plain:
    """A data set as `small_nets.fitted` takes it: pixels as they are, no views, no pair that answers."""

    views = 1

    def __init__(self, images: ImageSet) -> None:
        self.images, self.labels = images, torch.from_numpy(images.labels)
        self.mean, self.std = images.mean_std()
        self._seen = self.inputs(images), torch.zeros(len(images), len(images.classes))

    def inputs(self, images: ImageSet) -> Tensor:
        """float [N, H W C], normalised by the mean and spread of train."""
        return normalise(torch.from_numpy(images.images), self.mean, self.std).flatten(1)

    def view(self, view: int) -> tuple[Tensor, Tensor]:
        return self._seen


class Peak(Analog):
    """VL-VFE as its authors have it: a peak of 1 in each real dimension, PSNR = 1/sigma^2 of a real dimension."""

    low_db, high_db = 10.0, 26.0

    def powered(self, kept: Tensor, on: Tensor) -> Tensor:
        return kept

    def n0(self, told_db: Tensor) -> Tensor:
        return 2 * super().n0(told_db)

    def draw(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """A seventh at the largest noise, the others with a uniform sigma, one for all of the batch, as published."""
        sigma = 0.05 + 0.27 * torch.rand(1, generator=random)
        if torch.rand(1, generator=random) < 1 / 7:
            sigma = torch.full((1,), math.sqrt(0.1))
        told = (-20 * sigma.log10()).expand(batch)
        noise = torch.randn(batch, self.symbols, dtype=torch.complex64, generator=random)
        return told, torch.ones(batch, dtype=torch.complex64), noise

    @torch.no_grad()
    def decide(self, inputs: Tensor, psnr_db: float, random: torch.Generator) -> Tensor:
        """float [B, D] -> classes, int64 [B]."""
        told = torch.full((len(inputs),), psnr_db)
        noise = torch.randn(len(inputs), self.symbols, dtype=torch.complex64, generator=random)
        n0 = self.n0(told)[:, None]
        heard = (self.send(inputs, told) + n0.sqrt() * noise) / (1 + n0) * self.active(told)
        return self.answers(heard, 1 / n0[:, 0]).argmax(-1)


class PskOnce(Psk):
    """DT-JSCC as its authors have it."""

    @torch.no_grad()
    def decide(self, inputs: Tensor, psnr_db: float, random: torch.Generator) -> Tensor:
        """As `Peak.decide`; infinite: no channel."""
        sent = points(self.scores(inputs).argmax(-1), self.order)
        noise = torch.randn(sent.shape, dtype=torch.complex64, generator=random)
        return self.answers(nearest(sent + noise * 10 ** (-psnr_db / 20), self.order)).argmax(-1)


def place_of(name: str) -> Path:
    """Where lies what a method reached."""
    return SHIPPED / "published" / f"{name}.json"


def hold(name: str, dataset: str, epochs: int, folder: Path, command: str) -> dict[str, Any]:
    """Read the data, train, and say what was reached; JSON-ready. What was killed goes on from `folder`."""
    began = time.process_time()
    train, test = (load_images(dataset, split) for split in ("train", "test"))
    found = run(name, train, test, epochs, folder)
    return {
        "system": name, "command": command, "epochs": epochs, "train": len(train), "test": len(test),
        "data": fingerprint(test), "cpu_s": round(time.process_time() - began, 1), "held_to": found,
    }  # fmt: skip


def run(name: str, train: ImageSet, test: ImageSet, epochs: int, folder: Path) -> list[dict[str, Any]]:
    """Train a method in its published form, and hold it to its figures: see `held_to.held_to`."""
    examples = Plain(train)
    wide, classes = examples.inputs(test.take(test.labels[:1] * 0)).shape[1], len(train.classes)
    made: Mapping[str, Callable[[], SmallNet]] = {
        "vfe": lambda: Peak(wide, classes, DIMENSIONS // 2, 0, 1024, 1e-3, HARD),
        "dt-jscc": lambda: PskOnce(
            WordShape(wide, classes, LETTERS, ORDER, 0, 1024, 1024), HARD, entropy=1e-3, snr_db=TRAINED_DB
        ),
    }
    settings = {"epochs": epochs, "batch": 128 if name == "vfe" else 512, "lr": 1e-3}
    net: Any = fitted(made[name], examples, settings, folder, 0)
    inputs, labels = examples.inputs(test), torch.from_numpy(test.labels)

    def right(psnr_db: float) -> float:
        random = torch.Generator().manual_seed(1)
        shares = [(net.decide(inputs, psnr_db, random) == labels).float().mean() for _ in range(REPEATS)]
        return float(torch.stack(shares).mean())

    return [_held(name, one, right, net) for one in FIGURES[name]]


def _held(name: str, figure: Figure, right: Callable[[float], float], net: Any) -> dict[str, Any]:
    measured = right(figure.psnr_db)
    bound = (right(math.inf) if figure.right is None else figure.right) - 0.01
    sent = int(net.active(torch.tensor([figure.psnr_db])).sum()) if isinstance(net, Peak) else net.positions
    return {"what": f"{name} as published, {figure.psnr_db:g} dB PSNR, {sent} complex symbols: within a point of "
                    f"{figure.where}", "measured": round(measured, 4), "bound": round(bound, 4),
            "holds": measured >= bound}  # fmt: skip
