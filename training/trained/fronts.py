"""What a baseline's small networks are given of an image: its pixels, or the features of a pair's own encoder.

Knows nothing about channels, or about what is made of it.
"""

import hashlib
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.errors import ConfigError
from common.pair.backend import open_networks
from common.pair.device import one_thread
from common.pair.networks import Runner
from sctx.encoder import load_encoder, normalise
from sctx.pipeline import networks_of
from training.data.views import augment, words
from training.recipes import of_pair
from training.recipes.fitted import recipe_for
from training.recipes.recipe import Recipe
from training.systems.bench import Bench

PIXELS, OURS = "pixels", "ours"
ROWS = 512
"""Images that are seen at a time, so that they fit into memory."""
KEPT = 20
"""Parts whose vectors are kept."""
MANY = 10_000
"""Training images from which on one view of each is computed, which takes minutes; and see `tuning.py`."""
CPU = torch.device("cpu")


class Front:
    """Images -> one vector each. pixels: as the pair's encoder takes them; ours: what its last layer is given."""

    def __init__(self, bench: Bench, kind: str) -> None:
        """kind: `pixels` or `ours`; ModelError as of `load_encoder`."""
        image = bench.manifest.preprocess
        self.kind, self._mean, self._std = kind, image.mean, image.std
        self.wide, self.parameters, self.macs = image.height * image.width * image.channels, 0, 0
        self._encoder = None
        self._seen: dict[bytes, Tensor] = {}
        if kind == OURS:
            self._encoder = load_encoder(bench.manifest)
            head, (parameters, macs) = self._encoder.head, bench.encoder_cost
            self.wide = head.in_features
            self.parameters = parameters - sum(one.numel() for one in head.parameters())
            self.macs = macs - linear_macs(head)

    @torch.no_grad()
    def of(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float [B, wide]. Each image by itself."""
        parts = np.array_split(images, max(-(-len(images) // ROWS), 1))
        with one_thread(CPU, len(images)):
            return torch.cat([self._of(part) for part in parts])

    @torch.no_grad()
    def own(self, seen: Tensor) -> Tensor | None:
        """What the pair's own head says of what `of` gave, logits float [B, C]; None where pixels are seen."""
        logits: Tensor | None = None if self._encoder is None else self._encoder.head(seen)
        return logits

    def _of(self, part: NDArray[np.uint8]) -> Tensor:
        """What was seen last is not computed again: the same images go over many channels."""
        key = hashlib.sha256(part.tobytes()).digest() + len(part).to_bytes(4)
        if key not in self._seen:
            pixels = normalise(torch.from_numpy(part), self._mean, self._std)
            self._seen[key] = pixels.flatten(1) if self._encoder is None else self._encoder.pooled(pixels)
            if len(self._seen) > KEPT:
                self._seen.pop(next(iter(self._seen)))
        return self._seen[key]


class Examples:
    """The training images as a front sees them, augmented as the pair's own were, each view computed once."""

    def __init__(self, bench: Bench, front: Front) -> None:
        self.front, self.images = front, bench.train()
        self.labels = torch.from_numpy(self.images.labels)
        recipe = recipe_of(bench)
        self.views, self._spec = 1 if len(self.images) >= MANY else recipe.views, recipe.view
        self._bench = bench
        self._seen: dict[int, tuple[Tensor, Tensor]] = {}

    def view(self, view: int) -> tuple[Tensor, Tensor]:
        """What the front sees of a view, float [N, wide], and the pair's own answer to it, logits float [N, C]."""
        if view not in self._seen:
            images, spec = self.images.images, self._spec
            pixels = augment(images, words(spec, view, 0, len(images)), spec)
            seen = self.front.of(pixels)
            own = self.front.own(seen)
            self._seen[view] = seen, torch.from_numpy(self._own(pixels)) if own is None else own
        return self._seen[view]

    def _own(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Distilled from its teacher: the soft labels that anybody has who has the pair."""
        parts = np.array_split(pixels, max(-(-len(pixels) // ROWS), 1))
        return np.concatenate([self._networks.run("encoder", part)[1] for part in parts])

    @cached_property
    def _networks(self) -> Runner:
        return open_networks(networks_of(self._bench.manifest), "torch", "cpu")


@cache
def examples_of(bench: Bench, kind: str) -> Examples:
    """The same for all methods that see the same: of many photographs a view takes minutes."""
    return Examples(bench, Front(bench, kind))


def recipe_of(bench: Bench) -> Recipe:
    """The recipe of the pair, or where that is not known one that fits its data."""
    try:
        return of_pair.recipe_of(bench.manifest, bench.dataset)
    except ConfigError:
        return recipe_for(bench.dataset, None)[0]


def linear_macs(*modules: nn.Module) -> int:
    """Multiply-accumulates of all linear layers for one image."""
    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, nn.Linear)]
    return sum(layer.weight.numel() for layer in layers)


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them; a width of 0 is left out."""
    kept = [width for width in widths if width]
    layers: list[nn.Module] = []
    for wide_in, wide_out in pairwise(kept):
        layers += [nn.Linear(wide_in, wide_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def widened(hidden: int, classes: int) -> int:
    """Units of a decoder's first layer: as chosen, and two for each class at least."""
    return max(hidden, 2 * classes)
