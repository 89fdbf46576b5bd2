"""`--device auto|cpu|cuda[:N]` -> a torch device name. Knows nothing about models."""

import torch

from common.errors import ConfigError


def pick_device(name: str) -> str:
    """`auto` is CUDA where there is one, else the CPU. Raises ConfigError for a device that is not here."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device {name}: choose auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: no such CUDA device here; choose auto or cpu")
    return name
