"""Where networks run: `--device auto|cpu|cuda[:N]` -> a device, and on how many threads. Knows nothing about models."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from common.errors import ConfigError

FEW = 16
"""Images of a batch that one thread encodes at least as fast as two."""


def limit_threads(count: int) -> None:
    """So many threads of the processor for what this process computes from now on."""
    torch.set_num_threads(count)


def pick_device(name: str, threads: int = 0) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU; threads > 0 limits the CPU threads of this process.

    Raises ConfigError for a device that cannot be used here.
    """
    if threads:
        limit_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        why = "torch knows no such device" if "device string" in str(error) else str(error).splitlines()[0]
        raise ConfigError(f"device {name} cannot be used: {why}; try auto or cpu") from error
    return device


def share(name: str, place: int) -> str:
    """Process number `place`'s part of a machine with several devices. name: as `--device` names it."""
    shared = name in ("auto", "cuda") and torch.cuda.is_available()
    return f"cuda:{place % torch.cuda.device_count()}" if shared else name


@contextmanager
def one_thread(device: torch.device, rows: int = 1) -> Iterator[None]:
    """Within it, torch uses one thread of the processor for what the calling thread does, unless there are many rows.

    A small batch gains nothing from a second one, and on a busy machine waits for it at every operator. Torch's number
    of threads belongs to each thread: it is put back, and what the caller's other threads do keeps theirs.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or before == 1 or rows > FEW:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
