"""A convolutional classifier for small photographs that trains fast on two CPU cores, as a `transformers` model.

Knows nothing about data sets, schedules or stores. Importing it makes `semlink-convnet` a model type that `AutoConfig`
and `AutoModelForImageClassification` know, so its folders load as any teacher's does. After Jordan 2024 (arXiv
2404.00498): a fixed whitening layer, then stages that convolve, halve the side by max-pooling, and convolve again.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as fn
from transformers import AutoConfig, AutoModelForImageClassification, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

PATCH = 2
"""Side of the patches that the first layer whitens."""
LEAST_VARIANCE = 5e-4
"""Added to the variances, so that directions in which the images hardly differ are not blown up."""


class ConvNetConfig(PretrainedConfig):  # type: ignore[misc]
    """widths: channels of each stage; mirror: answer with the mean over an image and its mirror image."""

    model_type = "semlink-convnet"

    def __init__(
        self, image_size: int = 32, num_channels: int = 3, widths: tuple[int, ...] = (64, 256, 256),
        mirror: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        self.image_size, self.num_channels, self.widths, self.mirror = image_size, num_channels, tuple(widths), mirror


class ConvNetForImageClassification(PreTrainedModel):  # type: ignore[misc]
    """pixel_values: float [B, C, H, W] -> .logits float [B, classes]. Untrained until `whiten` has seen images."""

    config_class = ConvNetConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__(config)
        size = config.num_channels * PATCH**2
        self.register_buffer("whitening", torch.zeros(2 * size, config.num_channels, PATCH, PATCH))
        self.offset = nn.Parameter(torch.zeros(2 * size))
        widths = (2 * size, *config.widths)
        self.stages = nn.Sequential(*(_stage(a, b) for a, b in pairwise(widths)))
        self.head = nn.Linear(widths[-1], config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own, as the layers were made."""

    @torch.no_grad()
    def whiten(self, pixel_values: Tensor) -> None:
        """Fix the first layer from images as the network will see them, float [N, C, H, W]: +- the principal
        components of their patches, each scaled to unit variance."""
        patches = fn.unfold(pixel_values, PATCH, stride=PATCH).transpose(1, 2).flatten(0, 1).double()
        variance, direction = torch.linalg.eigh(patches.T.cov())
        rows = direction.T / (variance[:, None] + LEAST_VARIANCE).sqrt()
        self.whitening.copy_(torch.cat((rows, -rows)).view_as(self.whitening))

    def forward(self, pixel_values: Tensor, labels: Tensor | None = None, **_: Any) -> ImageClassifierOutput:
        """labels: int64 [B], for `.loss`."""
        logits = self._logits(pixel_values)
        if self.config.mirror and not self.training:
            logits = (logits + self._logits(pixel_values.flip(-1))) / 2
        loss = None if labels is None else fn.cross_entropy(logits, labels)
        return ImageClassifierOutput(loss=loss, logits=logits)

    def _logits(self, pixel_values: Tensor) -> Tensor:
        x = fn.gelu(fn.conv2d(pixel_values, self.whitening, self.offset))
        logits: Tensor = self.head(self.stages(x).amax((2, 3)))
        return logits


def _stage(wide_in: int, wide_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, 1, 1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(wide_out), nn.GELU(),
        nn.Conv2d(wide_out, wide_out, 3, 1, 1, bias=False), nn.BatchNorm2d(wide_out), nn.GELU(),
    )  # fmt: skip


AutoConfig.register(ConvNetConfig.model_type, ConvNetConfig)
AutoModelForImageClassification.register(ConvNetConfig, ConvNetForImageClassification)
