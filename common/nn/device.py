"""`--device auto|cpu|cuda[:N]` -> a torch device. Knows nothing about models."""

import torch

from common.errors import ConfigError


def pick_device(name: str, threads: int = 0) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; threads > 0 limits the CPU threads of this process.

    Raises ConfigError for a device that cannot be used here.
    """
    if threads:
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name} cannot be used: {str(error).splitlines()[0]}; try auto or cpu") from error
    return device
