"""What is in the file of one half of a pair, as numpy has it. Knows nothing about what tensors are for. No torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from common.errors import ModelError
from common.pair.manifest import Half, Manifest, read_half
from common.text import safe

Tensors = dict[str, NDArray[Any]]
SPEECH = "speech."
"""Before the names of what both halves hold alike, `common.pair.speech`."""


def load_half(manifest: Manifest, half: Half) -> Tensors:
    """Tensors of one half by name; raises as `read_half`, and where that file holds none.

    A file may hold them in half precision; they are computed with in single precision all the same.
    """
    raw = read_half(manifest, half)
    try:
        return {name: one.astype(np.float32) if one.dtype == np.float16 else one for name, one in load(raw).items()}
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        path = manifest.path / f"{half}.safetensors"
        why = safe(" ".join(str(error).split()), 200) or type(error).__name__
        raise ModelError(f"{path} holds no weights ({why}); restore or train the pair again") from error


def below(tensors: Tensors, prefix: str) -> Tensors:
    """Those whose names begin so, without it; they are taken out of `tensors`."""
    return {name.removeprefix(prefix): tensors.pop(name) for name in sorted(tensors) if name.startswith(prefix)}


def checked(tensors: Tensors, shapes: Mapping[str, tuple[str, tuple[int | None, ...]]], where: str) -> Tensors:
    """The same tensors. shapes: name -> dtype and shape, None for any length.

    ModelError where names, shapes or types are others, or one is no number. where: what to call them.
    """
    if odd := sorted(set(shapes) ^ set(tensors))[:1]:
        what = "has no" if odd[0] in shapes else "has a strange"
        raise ModelError(f"{where} {what} tensor '{safe(odd[0])}': it does not belong to this manifest")
    for name, tensor in tensors.items():
        dtype, wanted = shapes[name]
        fits = len(wanted) == tensor.ndim and all(n in (None, m) for n, m in zip(wanted, tensor.shape, strict=True))
        if tensor.dtype != np.dtype(dtype) or not fits:
            need = f"{dtype} {[('any' if n is None else n) for n in wanted]}"
            have = f"{tensor.dtype} {list(tensor.shape)}"
            raise ModelError(f"{where}: tensor '{name}' is {have}, and its manifest says {need}")
        if not np.isfinite(tensor).all():
            raise ModelError(f"{where}: tensor '{name}' holds what is no number")
    return tensors
