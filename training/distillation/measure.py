"""What an encoder says of images, and what it costs. Knows nothing about files or the air."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.images.imageset import ImageSet
from common.pair.shapes import Preprocess
from sctx.encoder import Encoder, normalise

ROWS = 512


def transmitter_cost(encoder: Encoder, preprocess: Preprocess) -> tuple[int, int]:
    """Parameters, and multiply-accumulates of convolutions and linear layers for one image."""
    device = next(encoder.parameters()).device
    image = torch.zeros(1, preprocess.channels, preprocess.height, preprocess.width, device=device)
    return cost_of(encoder, image)


def cost_of(network: nn.Module, image: Tensor) -> tuple[int, int]:
    """The same of any network that takes `image`, float32 [1, C, H, W]; products of attention are not counted."""
    macs = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        places = output[0, 0].numel() if isinstance(module, nn.Conv2d) else output[0].numel() // output.shape[-1]
        macs += module.weight.numel() * places  # type: ignore[operator]

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network.eval()(image)
    for hook in hooks:
        hook.remove()
    return sum(p.numel() for p in network.parameters()), macs


@torch.no_grad()
def said_of(
    encoder: Encoder, images: ImageSet, preprocess: Preprocess
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Decisions, int64 [N], and features, float32 [N, F]."""
    encoder.eval()
    device = next(encoder.parameters()).device
    decided, features = [], []
    for part in np.array_split(images.images, -(-len(images) // ROWS)):
        feature, logits = encoder(normalise(torch.from_numpy(part).to(device), preprocess.mean, preprocess.std))
        decided.append(logits.argmax(-1).cpu().numpy())
        features.append(feature.float().cpu().numpy())
    return np.concatenate(decided), np.concatenate(features)
