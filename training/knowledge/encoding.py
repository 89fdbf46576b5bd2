"""Teacher logits in few bytes: dense int8, or top-K with a tail; and back.

Knows nothing about files, teachers or views.

Logits matter only up to a constant, so every form stores z - max(z) <= 0.

    int8     C + 2 bytes      level 0..255 per class times one fp16 step per row
    topK     4 K + 2 bytes    (3 K + 2 for C <= 256) the K largest log-probabilities, their classes, and the log of the
                              remaining mass, spread evenly over the other C - K classes (TinyViT, Wu et al. 2022)
"""

import math
import re

import torch
from torch import Tensor

from common.errors import ConfigError

FLOOR = -60.0
"""Smallest log of a tail mass that is told apart from none; exp(-60) is below what float32 training can see."""

LEAST = -65504.0
"""Of fp16; what lies below has no probability either."""


def check(encoding: str, classes: int) -> None:
    """ConfigError unless `encoding` can hold logits of `classes` classes."""
    if encoding == "int8":
        return
    if encoding == "fp16":
        raise ConfigError("encoding 'fp16' is no more: int8 takes fewer bytes and loses nothing that a student sees")
    found = re.fullmatch(r"top([1-9]\d{0,5})", encoding)
    if not found:
        raise ConfigError(f"unknown encoding '{encoding}': int8 or topK, such as top10")
    if int(found[1]) >= classes:
        raise ConfigError(f"{encoding} of {classes} classes leaves no tail: use int8")
    if classes > 32767:
        raise ConfigError(f"top-K stores a class in 16 bits; {classes} classes do not fit")


def encode(logits: Tensor, encoding: str) -> dict[str, Tensor]:
    """logits: float32 [N, C] -> tensors by name, ready for a safetensors file."""
    check(encoding, logits.shape[-1])
    logits = logits.float()
    below = logits - logits.amax(-1, keepdim=True)
    if encoding == "int8":
        # The step is rounded up a little before it becomes fp16, so that 255 steps still reach the smallest logit.
        step = ((-below).amax(-1, keepdim=True) / 255 * 1.001).clamp(min=1e-6).half()
        return {"level": (-below / step.float()).round().clamp(0, 255).to(torch.uint8), "step": step}
    value, index = logits.log_softmax(-1).topk(int(encoding[3:]), -1)
    rest = logits.log_softmax(-1).scatter(-1, index, -math.inf).logsumexp(-1, keepdim=True)
    kind = torch.uint8 if logits.shape[-1] <= 256 else torch.int16
    return {"value": value.clamp(min=LEAST).half(), "index": index.to(kind), "tail": rest.clamp(min=FLOOR).half()}


def decode(tensors: dict[str, Tensor], encoding: str, classes: int) -> Tensor:
    """What `encode` made -> logits up to a constant, float32 [N, C]."""
    if encoding == "int8":
        return -tensors["level"].float() * tensors["step"].float()
    value, index, tail = tensors["value"].float(), tensors["index"].long(), tensors["tail"].float()
    spread = tail - math.log(classes - value.shape[-1])
    return spread.expand(-1, classes).scatter(-1, index, value)


def bytes_per_row(tensors: dict[str, Tensor]) -> float:
    """Payload bytes per image and view."""
    rows = len(next(iter(tensors.values())))
    return sum(tensor.nbytes for tensor in tensors.values()) / rows


def divergence(logits: Tensor, kept: Tensor, tau: float) -> Tensor:
    """KL(softmax(z/tau) || softmax(kept/tau)) in nats per row: what the encoding lost. float32 [N]."""
    full, short = (logits.double() / tau).log_softmax(-1), (kept.double() / tau).log_softmax(-1)
    return (full.exp() * (full - short)).sum(-1).float()


def layout(encoding: str, rows: int, classes: int) -> dict[str, tuple[torch.dtype, tuple[int, int]]]:
    """Type and shape of each tensor that `encode` makes of `rows` images."""
    check(encoding, classes)
    if encoding == "int8":
        return {"level": (torch.uint8, (rows, classes)), "step": (torch.float16, (rows, 1))}
    kept, kind = int(encoding[3:]), torch.uint8 if classes <= 256 else torch.int16
    return {"value": (torch.float16, (rows, kept)), "index": (kind, (rows, kept)), "tail": (torch.float16, (rows, 1))}


def payload(encoding: str, rows: int, classes: int) -> int:
    """Bytes of those tensors."""
    return sum(kind.itemsize * math.prod(shape) for kind, shape in layout(encoding, rows, classes).values())


def refuse_unsound(tensors: dict[str, Tensor], classes: int) -> None:
    """ValueError unless the numbers of these tensors, of the right types and shapes, can be answers."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            row = int(tensor.isfinite().all(-1).logical_not().nonzero()[0])
            raise ValueError(f"{name} of row {row} is no finite number")
    if "index" in tensors and not ((tensors["index"] >= 0) & (tensors["index"] < classes)).all():
        raise ValueError(f"it names a class beyond the {classes} that there are")
