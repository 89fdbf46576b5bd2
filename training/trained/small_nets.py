"""Training of a small network on what a front sees: the loop, the views and the average of weights that ours has.

Knows nothing about what the network is.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from common.images.imageset import ImageSet
from training.loop.fit import Run, fit
from training.recipes.specs import Schedule, ViewSpec

Settings = dict[str, Any]
"""What a trial chose, by name: numbers and words."""
N = TypeVar("N", bound="SmallNet")


class Seen(Protocol):
    """What a network is trained on: as `fronts.Examples`."""

    images: ImageSet
    labels: Tensor
    views: int

    def view(self, view: int) -> tuple[Tensor, Tensor]:
        """Inputs float [N, D], and soft answers to them, logits float [N, C]."""
        ...


class SmallNet(nn.Module):
    """A network with a loss of its own: `forward(inputs, labels, own, *drawn)` is the loss of a batch.

    inputs: float [B, D]; labels: int64 [B]; own: logits of the pair itself, float [B, C]; drawn: of `draw`.
    """

    @abstractmethod
    def draw(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Whatever is random in a batch: channels, noise, samples."""


class _Small:
    """See `training.loop.fit.Task`."""

    def __init__(self, net: SmallNet, examples: Seen) -> None:
        self.objective: nn.Module = net
        self._net, self._examples = net, examples
        self._view = (torch.empty(0), torch.empty(0))

    def start_view(self, view: int) -> None:
        self._view = self._examples.view(view)

    def arguments(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int64], rows: slice, random: torch.Generator
    ) -> tuple[Any, ...]:
        ours = torch.from_numpy(index[rows])
        inputs, own = self._view
        return inputs[ours], self._examples.labels[ours], own[ours], *self._net.draw(len(ours), random)


def fitted(make: Callable[[], N], examples: Seen, settings: Settings, folder: Path, seed: int) -> N:
    """Make and train a network; one that was killed goes on from its checkpoint in `folder`.

    settings: `epochs`, `lr` and `batch` are for here. The weights are rounded to half precision, as they are shipped.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make()
    schedule = Schedule(epochs=settings["epochs"], batch=settings["batch"], lr=settings["lr"], ema=0.99)
    identity = {"settings": settings, "net": repr(net)}
    views = min(examples.views, settings["epochs"])
    unseen = replace(examples.images, images=examples.images.images[:, :1, :1])  # what is seen of them is computed
    run = Run(folder.name, folder, identity, unseen, ViewSpec(), views, schedule, seed, torch.device("cpu"),
              Console(quiet=True))  # fmt: skip
    net.load_state_dict(halved(fit(_Small(net, examples), run).weights))
    run.forget()
    return net.eval()


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, each the nearest number of half precision."""
    return {name: one.half().to(one.dtype) if one.is_floating_point() else one for name, one in weights.items()}
