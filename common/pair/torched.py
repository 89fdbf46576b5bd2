"""Networks of a pair run by torch: the reference. Knows nothing about what they are for."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.pair.device import one_thread, pick_device, share
from common.pair.networks import Backend, Networks


class TorchRunner:
    """See `Runner`."""

    backend: Backend = "torch"

    def __init__(self, networks: Networks, device: str, threads: int, place: int) -> None:
        """See `open_networks`."""
        self._device, self._many = pick_device(share(device, place), threads), networks.many
        self._modules = {name: one.to(self._device) for name, one in networks.modules(networks.manifest).items()}

    @torch.inference_mode()
    def run(self, name: str, *inputs: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        """See `Runner`."""
        with one_thread(self._device, len(inputs[0]) if self._many else 1):
            made = self._modules[name](*(torch.from_numpy(one).to(self._device) for one in inputs))
            return tuple(one.cpu().numpy() for one in (made if isinstance(made, tuple) else (made,)))
