"""What a training runs on: which of several processes this is, its numbers' precision, its memory.

Knows nothing about what is trained.
"""

import ctypes
import os
import resource
from contextlib import suppress

import torch
from torch import nn

from training.recipes.specs import Schedule

M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD = -4, -1, -2
"""Settings of glibc's mallopt(3)."""


def process() -> tuple[int, int]:
    """(rank, number of processes). Under `torchrun` the first call joins the others."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return int(os.environ.get("RANK", "0")), world


def autocasts(schedule: Schedule, device: torch.device) -> bool:
    """Whether bfloat16 is used: on a GPU always; on a processor that multiplies it itself, where the schedule says so.
    Emulated, it takes twice as long as float32."""
    own = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cuda" or bool(schedule.bf16 and own)


def peak_memory(device: torch.device) -> int:
    """Most bytes held since this process began: of the GPU's memory on a GPU, of all else (Linux counts in KiB)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def wait() -> None:
    """Until every process is here."""
    if process()[1] > 1:
        torch.distributed.barrier()


def keep_memory() -> None:
    """Let glibc keep what large tensors give back, for the next ones; without glibc nothing is done.

    By itself it returns each of them to the kernel after every operator and fetches it again page by page: a network of
    large images on a processor takes up to four times as long (training/README.md).
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 1 << 28)):
            mallopt(parameter, value)


def placed(module: nn.Module, device: torch.device) -> nn.Module:
    """The same module, on `device` and in the memory order that convolutions are fastest in."""
    return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
