"""Tensors of a safetensors file, mapped: rows are read when they are asked for, and memory does not grow with the file.

Knows nothing about what they mean.
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

Layout = dict[str, tuple[torch.dtype, tuple[int, int]]]
TYPES = {"U8": (torch.uint8, "<u1"), "I16": (torch.int16, "<i2"), "F16": (torch.float16, "<f2")}
AT_ONCE = 4096
"""Rows that are looked at together."""


class Mapped:
    """The tensors of a file, each of as many rows. ValueError, or the format's own error, unless they are `wanted`."""

    def __init__(self, path: Path, wanted: Layout) -> None:
        with safe_open(path, "np") as file:  # which checks that header and length go together
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            found = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
            kinds = {name: (TYPES[kind][0], shape) for name, (kind, shape) in found.items() if kind in TYPES}
            if kinds != wanted:
                raise ValueError(f"it holds {found}, not {wanted}")
        with path.open("rb") as raw:
            length = int.from_bytes(raw.read(8), "little")
            header = json.loads(raw.read(length))
        self.rows = next(iter(wanted.values()))[1][0]
        self._arrays: dict[str, NDArray[np.generic]] = {
            name: np.memmap(path, TYPES[kind][1], "r", 8 + length + int(header[name]["data_offsets"][0]), shape)
            for name, (kind, shape) in found.items()
        }

    def take(self, rows: NDArray[np.int64] | slice) -> dict[str, Tensor]:
        """Those rows of each tensor, in memory."""
        return {name: torch.from_numpy(np.array(array[rows])) for name, array in self._arrays.items()}

    def parts(self) -> "list[slice]":
        """All rows, some at a time."""
        return [slice(low, min(low + AT_ONCE, self.rows)) for low in range(0, self.rows, AT_ONCE)]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The tensors as they lie on disk, by name."""
        return self._arrays
