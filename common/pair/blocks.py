"""Blocks of networks: residual convolution, and 1x1 convolutions that pick their pixels themselves.

Knows nothing about images, symbols or where a block is used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as fn


class ConvBlock(nn.Module):
    """Two 3x3 convolutions and a skip (He et al. 2015, fig. 2): float [B, C_in, H, W] -> [B, C_out, H/s, W/s]."""

    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(wide_out)
        self.conv2 = nn.Conv2d(wide_out, wide_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(wide_out)
        same = stride == 1 and wide_in == wide_out
        self.skip = nn.Identity() if same else PointConv(wide_in, wide_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = fn.relu(self.norm1(self.conv1(x)))
        return fn.relu(self.norm2(self.conv2(y)) + self.skip(x))


class PointConv(nn.Conv2d):
    """1x1 convolution of every s-th pixel: float [B, C_in, H, W] -> [B, C_out, ceil(H/s), ceil(W/s)].

    The same numbers as `Conv2d(C_in, C_out, 1, s)`, but the pixels are picked here and not by oneDNN, which writes
    behind its buffer where it picks them for fewer than 8 channels (version 3.12, AVX2, channels last, gradient of the
    weights).
    """

    def __init__(self, wide_in: int, wide_out: int, stride: int) -> None:
        super().__init__(wide_in, wide_out, 1, bias=False)
        self.every = stride

    def forward(self, x: Tensor) -> Tensor:
        if torch.onnx.is_in_onnx_export():  # ONNX Runtime picks them by itself, and faster
            return fn.conv2d(x, self.weight, stride=self.every)
        return super().forward(x[..., :: self.every, :: self.every])


def pick_pixels(model: nn.Module) -> None:
    """Make every 1x1 convolution with a stride pick its pixels as `PointConv` does: for networks that are not ours."""
    for layer in model.modules():
        if not isinstance(layer, nn.Conv2d) or layer.kernel_size != (1, 1) or layer.padding != (0, 0):
            continue
        if layer.stride != (1, 1):
            down, along = layer.stride
            layer.stride = (1, 1)
            layer.register_forward_pre_hook(lambda _, x, i=down, j=along: (x[0][..., ::i, ::j],))
