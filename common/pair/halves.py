"""Weights of a pair -> its networks, whoever wrote them. Knows nothing about what the networks are for."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from common.errors import ModelError
from common.pair.manifest import Half, Manifest, read_half
from common.text import safe

M = TypeVar("M", bound=nn.Module)


def load_half(manifest: Manifest, half: Half) -> dict[str, torch.Tensor]:
    """Weights of one half by name; raises as `read_half`, and where that file holds no tensors.

    A file may hold them in half precision; they are computed with in single precision all the same.
    """
    raw = read_half(manifest, half)
    try:
        tensors = {name: one.float() if one.dtype == torch.float16 else one for name, one in load(raw).items()}
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        path = manifest.path / f"{half}.safetensors"
        why = safe(" ".join(str(error).split()), 200) or type(error).__name__
        raise ModelError(f"{path} holds no weights ({why}); restore or train the pair again") from error
    return tensors


def built(make: Callable[[], M], weights: Mapping[str, torch.Tensor], where: str) -> M:
    """The network that `make` makes, with these weights, in evaluation mode.

    ModelError where names, shapes or types of the weights are not the ones it has, or one is no number. A manifest may
    ask for any size, so the network is made without memory first (on torch's "meta" device): it becomes no larger than
    its file. where: what to call the weights.
    """
    with torch.device("meta"):
        expected = make().state_dict()
    if odd := sorted(set(expected) ^ set(weights))[:1]:
        what = "has no" if odd[0] in expected else "has a strange"
        raise ModelError(f"{where} {what} tensor '{safe(odd[0])}': it does not belong to this manifest")
    for name, tensor in weights.items():
        wanted = expected[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            have, need = (f"{one.dtype} {list(one.shape)}".removeprefix("torch.") for one in (tensor, wanted))
            raise ModelError(f"{where}: tensor '{name}' is {have}, and its manifest says {need}")
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{where}: tensor '{name}' holds what is no number")
    module = make()
    module.load_state_dict(dict(weights))
    return module.eval()
