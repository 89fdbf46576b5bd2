"""The networks of one half of a pair, whatever runs them: what they take and give, and how they are made.

Knows nothing about runtimes, or about what the networks are for. Loads neither torch nor numpy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from common.pair.manifest import Half, Manifest

Backend = Literal["onnx", "torch"]
AUTO = "auto"
BACKENDS: tuple[str, ...] = (AUTO, *get_args(Backend))
"""What `--backend` takes; what each means is said in `backend.py`."""
Modules: TypeAlias = "Mapping[str, nn.Module]"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a network takes and gives, in order, without the batch, which comes first in every array.

    inputs: name -> dtype and shape; outputs: name -> shape, float32.
    """

    inputs: Mapping[str, tuple[str, tuple[int, ...]]]
    outputs: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of one half, whatever runs them.

    signatures: by name. modules: the same names -> modules of torch whose `forward` takes and gives what the signature
    says; loads torch and weights. many: whether a batch of many rows is worth several threads.
    """

    manifest: "Manifest"
    half: "Half"
    signatures: Mapping[str, Signature]
    modules: "Callable[[Manifest], Modules]" = field(compare=False)
    many: bool = False

    def graph(self, name: str) -> Path:
        """Where the ONNX graph of one of them lies."""
        return self.manifest.path / f"{name}.onnx"


class Runner(Protocol):
    """The networks of one half, loaded. For one thread."""

    backend: Backend

    def run(self, name: str, *inputs: "NDArray[Any]") -> "tuple[NDArray[np.float32], ...]":
        """The outputs of a network for its inputs, as its signature says, [B, ...] each."""
