"""Features of the pair's own encoder as bits, and the bits in a short code: separation, for one image at a time.

Knows nothing about codes but that they take bits and give bits. Four bits say one of 16 letters.

    separate   letters of a bottleneck that is trained end to end without a channel (van den Oord et al. 2017, with the
               inner products of `discrete.py` in place of distances)
    pq-code    product quantisation (Jegou et al. 2011) of the features as they are, k-means in each part, after a
               rotation that spreads the variance over the parts (Ge et al. 2013, 3.2), or without; the receiver's
               classifier is trained on what is left of them
"""

import math
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.phy.decibel import from_db
from training.baselines.short_codes import ShortCode
from training.recipes.specs import LossSpec
from training.student.losses import distortion
from training.systems.codec import Codec
from training.trained.discrete import Discrete, WordShape
from training.trained.family import Family, Space, Weights
from training.trained.fronts import OURS, Examples, Front, mlp
from training.trained.small_nets import Settings, SmallNet, fitted

BITS, ORDER = 4, 16
"""Of a letter, and letters."""
ALL_BITS = (4, 8, 12, 16, 32, 64)
MOST_ROWS = 4096
"""Vectors that k-means sees."""


class Bottleneck(Discrete):
    """Trained without a channel; a share of the letters is read wrong, if settings say so."""

    def __init__(self, shape: WordShape, loss: LossSpec, usage: float, wrong: float) -> None:
        super().__init__(shape, loss, usage=usage)
        self.wrong = wrong

    def draw_way(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        size = batch, self.positions
        other = torch.randint(self.order, size, generator=random)
        return (torch.where(torch.rand(size, generator=random) < self.wrong, other, -1),)

    def heard(self, letters: Tensor, *way: Tensor) -> Tensor:
        return torch.where(way[0] < 0, letters, way[0])

    def letters(self, inputs: Tensor) -> Tensor:
        return self.scores(inputs).argmax(-1)


class Product(SmallNet):
    """Product quantiser that is given, and a classifier that is trained on what it leaves."""

    turn: Tensor
    """float [D', D]: rotation, D' a multiple of the parts."""
    books: Tensor
    """float [M, 16, D'/M]"""

    def __init__(self, turn: Tensor, books: Tensor, hidden: int, classes: int, loss: LossSpec) -> None:
        super().__init__()
        self.register_buffer("turn", turn)
        self.register_buffer("books", books)
        self.head = mlp(books.shape[0] * books.shape[2], hidden, classes)
        self.loss = loss

    @property
    def sender_cost(self) -> tuple[int, int]:
        """Parameters and multiply-accumulates of rotation and distances."""
        return self.turn.numel() + self.books.numel(), self.turn.numel() + self.books.numel()

    def draw(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        return ()

    def letters(self, inputs: Tensor) -> Tensor:
        parts = (inputs @ self.turn.T).reshape(len(inputs), len(self.books), -1)
        return (self.books.square().sum(-1) - 2 * torch.einsum("bmd,mkd->bmk", parts, self.books)).argmin(-1)

    def answers(self, letters: Tensor) -> Tensor:
        chosen = self.books[torch.arange(len(self.books)), letters]
        logits: Tensor = self.head(chosen.flatten(1))
        return logits

    def forward(self, inputs: Tensor, labels: Tensor, own: Tensor, *drawn: Tensor) -> Tensor:
        return distortion(self.answers(self.letters(inputs)), own, labels, self.loss)


class BitsCodec(Codec):
    """Letters as bits in a short code; what the code says was sent is believed."""

    def __init__(self, net: Bottleneck | Product, code: ShortCode, front: Front) -> None:
        self._net, self._code, self._front = net, code, front
        self.symbols = code.uses
        parameters, macs = net.sender_cost
        self.parameters, self.macs = front.parameters + parameters, float(front.macs + macs)

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        return self._code.encode(bits_of(self._net.letters(self._front.of(images)).numpy()))

    @torch.no_grad()
    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        letters = torch.from_numpy(letters_of(self._code.decode(symbols, snr)))
        answers: NDArray[np.int64] = self._net.answers(letters).argmax(-1).numpy()
        return answers


def bits_of(letters: NDArray[np.int64]) -> NDArray[np.uint8]:
    """int64 [B, M] -> uint8 [B, 4 M], the highest bit first."""
    return ((letters[..., None] >> np.arange(BITS)[::-1]) & 1).astype(np.uint8).reshape(len(letters), -1)


def letters_of(bits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The reverse of `bits_of`."""
    return bits.reshape(len(bits), -1, BITS).astype(np.int64) @ (1 << np.arange(BITS)[::-1])


class _Quantised(Family):
    front = OURS
    reference = ("b4", "b8", "b12")

    def members(self) -> tuple[str, ...]:
        return tuple(f"b{bits}" for bits in ALL_BITS)

    def worth_trying(self, member: str, uses: int, snr_db: float) -> bool:
        """Not more bits than the channel could carry: their code would fail."""
        return int(member[1:]) <= max(BITS, uses * math.log2(1 + from_db(snr_db)))

    @abstractmethod
    def net(self, member: str, settings: Settings, wide: int, classes: int) -> Bottleneck | Product:
        """An untrained one."""

    def codec(
        self, member: str, weights: Weights, settings: Settings, front: Front, classes: int, uses: int, told_db: float
    ) -> Codec | None:
        try:
            code = ShortCode(int(member[1:]), uses)
        except ValueError:
            return None
        net = self.net(member, settings, front.wide, classes)
        net.load_state_dict(weights)
        return BitsCodec(net.eval(), code, front)


class Separate(_Quantised):
    """Vector-quantised features, trained end to end without a channel, in a short code."""

    name = "separate"
    source = "van den Oord et al. 2017 (arXiv 1711.00937) on the pair's own encoder; short code: Reed-Muller or polar"
    space: ClassVar[Space] = {
        "usage": (0.1, 0.0, 1.0),
        "wrong": (0.0, 0.05),
        "lr": (1e-2, 3e-3),
        "before": (0, 64),
        "hidden": (64, 96),
        "whole": (64, 128),
        "hard": (0.1, 1.0),
        "epochs": (40, 80),
        "batch": (128,),
    }

    def net(self, member: str, settings: Settings, wide: int, classes: int) -> Bottleneck:
        parts = int(member[1:]) // BITS
        shape = WordShape(wide, classes, parts, ORDER, settings["before"], settings["hidden"], settings["whole"])
        return Bottleneck(shape, LossSpec(hard=settings["hard"], tau=2.0), settings["usage"], settings["wrong"])

    def fit(self, member: str, examples: Examples, settings: Settings, folder: Path, seed: int) -> Weights:
        wide, classes = examples.front.wide, len(examples.images.classes)
        net = fitted(lambda: self.net(member, settings, wide, classes), examples, settings, folder, seed)
        return dict(net.state_dict())


class PqCode(_Quantised):
    """Product-quantised features in a short code."""

    name = "pq-code"
    source = "Jegou et al. 2011 (TPAMI 33(1)), Ge et al. 2013 (CVPR) on the pair's own features; short code as separate"
    space: ClassVar[Space] = {
        "rotated": (True, False),
        "lr": (3e-3, 1e-3, 1e-2),
        "hidden": (64, 0, 96),
        "hard": (0.1, 1.0),
        "epochs": (40, 80),
        "batch": (128,),
    }

    def net(self, member: str, settings: Settings, wide: int, classes: int) -> Product:
        parts = int(member[1:]) // BITS
        each = -(-wide // parts)
        return Product(torch.zeros(parts * each, wide), torch.zeros(parts, ORDER, each), settings["hidden"], classes,
                       LossSpec(hard=settings["hard"], tau=2.0))  # fmt: skip

    def fit(self, member: str, examples: Examples, settings: Settings, folder: Path, seed: int) -> Weights:
        parts, classes = int(member[1:]) // BITS, len(examples.images.classes)
        views = min(-(-MOST_ROWS // len(examples.labels)), examples.views)
        rows = examples.images.chosen(MOST_ROWS)  # of one view; of several the first are whole
        seen = torch.cat([examples.view(view)[0][rows] for view in range(views)])[:MOST_ROWS].numpy().astype(np.float64)
        turn, books = product_quantiser(seen, parts, settings["rotated"], seed)

        def made() -> Product:
            net = self.net(member, settings, seen.shape[1], classes)
            net.turn.copy_(torch.from_numpy(turn))
            net.books.copy_(torch.from_numpy(books))
            return net

        return dict(fitted(made, examples, settings, folder, seed).state_dict())


def product_quantiser(
    seen: NDArray[np.float64], parts: int, rotated: bool, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """seen: float64 [N, D] -> turn float32 [D', D] and books float32 [parts, 16, D'/parts].

    rotated: along the principal axes, dealt out so that every part has about the same product of variances.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    wide = seen.shape[1]
    each, axes, shares = -(-wide // parts), np.eye(wide), np.array_split(np.arange(wide), parts)
    if rotated:
        variances, axes = np.linalg.eigh(np.cov(seen.T))
        shares = _dealt(np.log(np.maximum(variances, 1e-9)), parts, each)
    turn = np.zeros((parts, each, wide))
    for part, share in enumerate(shares):
        turn[part, : len(share)] = axes[:, share].T
    turn = turn.reshape(-1, wide)
    moved = (seen @ turn.T).reshape(len(seen), parts, each)
    with threadpool_limits(1):
        books = [KMeans(ORDER, n_init=2, random_state=seed).fit(one).cluster_centers_ for one in moved.swapaxes(0, 1)]
    return turn.astype(np.float32), np.array(books, np.float32)


def _dealt(logs: NDArray[np.float64], parts: int, most: int) -> list[NDArray[np.int64]]:
    """logs: of the variances, float64 [D] -> the axes of each part: the largest left goes to the smallest product."""
    shares: list[list[int]] = [[] for _ in range(parts)]
    above = logs - logs.min()
    for axis in np.argsort(logs)[::-1].tolist():
        free = [share for share in shares if len(share) < most]
        min(free, key=lambda share: float(above[share].sum())).append(axis)
    return [np.array(share, np.int64) for share in shares]
