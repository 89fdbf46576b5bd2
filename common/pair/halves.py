"""Weights of a pair -> its networks, whoever wrote them. Knows nothing about what the networks are for."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import nn

from common.pair.tensors import checked

M = TypeVar("M", bound=nn.Module)


def built(make: Callable[[], M], weights: Mapping[str, NDArray[Any]], where: str) -> M:
    """The network that `make` makes, with these weights, in evaluation mode.

    ModelError where names, shapes or types of the weights are not the ones it has, or one is no number. A manifest may
    ask for any size, so the network is made without memory first (on torch's "meta" device): it becomes no larger than
    its file. where: what to call the weights.
    """
    with torch.device("meta"):
        expected = make().state_dict()
    shapes = {name: (str(one.dtype).removeprefix("torch."), tuple(one.shape)) for name, one in expected.items()}
    checked(dict(weights), shapes, where)
    module = make()
    module.load_state_dict({name: torch.from_numpy(one.copy()) for name, one in weights.items()})
    return module.eval()
