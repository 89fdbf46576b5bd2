"""The state of a training run on disk, so that a killed run goes on as if it had not been: one safetensors file.

Knows nothing about what is trained.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from common.files import write_atomic


def save_checkpoint(
    path: Path,
    identity: str,
    epoch: int,
    module: nn.Module,
    average: dict[str, Tensor],
    optimisers: list[torch.optim.Optimizer],
) -> None:
    """Write weights, averaged weights and optimiser state after `epoch` epochs, whole or not at all."""
    tensors = {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for number, optimiser in enumerate(optimisers):
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser{number}.{index}.{name}": tensor for name, tensor in state.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, save(plain, metadata={"identity": identity, "epoch": str(epoch)}))


def load_checkpoint(
    path: Path, identity: str, module: nn.Module, average: dict[str, Tensor], optimisers: list[torch.optim.Optimizer]
) -> int:
    """Take up what `save_checkpoint` wrote; returns the epochs that are done.

    0 where there is no checkpoint, or it is damaged, or it belongs to another run (other recipe, data, store or seed).
    """
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            if header.get("identity") != identity:
                return 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError):
        return 0
    module.load_state_dict(_under("module.", tensors))
    for name, tensor in _under("average.", tensors).items():
        average[name].copy_(tensor)
    for number, optimiser in enumerate(optimisers):
        _load_state(optimiser, _under(f"optimiser{number}.", tensors))
    return int(header["epoch"])


def _load_state(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    for parameter, loaded in optimiser.state.items():
        for key, tensor in loaded.items():  # the fused kernel walks memory: a moment must lie as its parameter does
            if tensor.shape == parameter.shape:
                loaded[key] = torch.empty_like(parameter).copy_(tensor)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
