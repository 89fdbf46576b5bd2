"""A teacher's embedding in few bytes: a fixed projection, then as many bits for each number as it deserves; and back.

Knows nothing about files' places, teachers or views.

    v = basis (e - mean)                  principal components of the embedding over some training images, float [d]
    level i = v_i in 2^bits_i equal steps around 0, as wide as is best for a Gaussian of that deviation (Max 1960)

The bits of all levels lie behind one another in a row of whole bytes. They are given out one at a time, each to the
component whose error it takes most off: reverse water-filling (Cover and Thomas, Elements of Information Theory, 10.3),
since a bit takes three quarters off the error of a component.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load, save
from torch import Tensor

from common.pair.manifest import canonical
from training.recipes.specs import EMBEDDING_BYTES

MOST_BITS = 8
STEPS = (1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.05687, 0.03076)
"""Best step for a Gaussian of unit variance in 2, 4 ... 256 equal steps (Max 1960, table II; beyond 32 levels by the
same equations)."""
WIDEST, MOST_BYTES = 65_536, EMBEDDING_BYTES
"""Numbers of an embedding, and bytes that it may take."""
MOST_COMPONENTS = 256
"""Components that are kept: beyond, a few bytes would go into directions that say little, each with a single bit."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """mean: float32 [D]; basis: float32 [d, D], orthonormal rows; deviation: float32 [d]; bits: uint8 [d], 1..8."""

    mean: Floats
    basis: Floats
    deviation: Floats
    bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        d = len(self.bits)
        shapes = {"mean": (self.width,), "basis": (d, self.width), "deviation": (d,), "bits": (d,)}
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != (np.uint8 if name == "bits" else np.float32):
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not of {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} has a number that is not finite")
        if not 1 <= d <= self.width <= WIDEST or not (self.deviation > 0).all():
            raise ValueError(f"{d} of {self.width} numbers, each with a deviation above 0, are no projection")
        if not ((self.bits >= 1) & (self.bits <= MOST_BITS)).all() or self.size > MOST_BYTES:
            raise ValueError(f"each component has 1 to {MOST_BITS} bits, and all of them at most {MOST_BYTES} bytes")

    @property
    def width(self) -> int:
        """Numbers of an embedding, D."""
        return int(self.mean.size)

    @property
    def dims(self) -> int:
        """Components that are kept, d."""
        return len(self.bits)

    @property
    def size(self) -> int:
        """Bytes that an embedding takes."""
        return -(-int(self.bits.sum(dtype=np.int64)) // 8)

    def project(self, embedding: Tensor) -> Tensor:
        """float [N, D] -> components, float32 [N, d]."""
        return (embedding.float() - torch.from_numpy(self.mean)) @ torch.from_numpy(self.basis).T

    def restore(self, components: Tensor) -> Tensor:
        """float32 [N, d] -> the embedding as far as they tell it, float32 [N, D]."""
        return components @ torch.from_numpy(self.basis) + torch.from_numpy(self.mean)

    def encode(self, embedding: Tensor) -> Tensor:
        """float [N, D] -> uint8 [N, size]."""
        levels = (1 << self.bits.astype(np.int64)).astype(np.float32)
        scaled = self.project(embedding).numpy() / self._steps() + levels / 2
        level = np.clip(np.floor(scaled), 0, levels - 1).astype(np.uint8)
        columns = [(level[:, i] >> (b - 1 - k)) & 1 for i, b in enumerate(self.bits.tolist()) for k in range(b)]
        return torch.from_numpy(np.packbits(np.stack(columns, -1), axis=-1))

    def decode(self, packed: Tensor) -> Tensor:
        """uint8 [N, size] -> components, float32 [N, d]."""
        bits = np.unpackbits(packed.numpy(), axis=-1, count=int(self.bits.sum(dtype=np.int64)))
        starts = np.concatenate(([0], np.cumsum(self.bits, dtype=np.int64)[:-1]))
        weights = np.concatenate([1 << np.arange(b)[::-1] for b in self.bits.tolist()]).astype(np.int32)
        level = np.add.reduceat(bits * weights, starts, axis=-1).astype(np.float32)
        levels = (1 << self.bits.astype(np.int64)).astype(np.float32)
        return torch.from_numpy((level + 0.5 - levels / 2) * self._steps())

    def to_bytes(self, notes: dict[str, str] | None = None) -> bytes:
        """As a file holds it. notes: what else is to be known of it."""
        tensors = {"mean": self.mean, "basis": self.basis, "deviation": self.deviation, "bits": self.bits}
        # One entry: safetensors writes several in an order of its own, another in each process.
        raw: bytes = save(tensors, metadata={"semlink": canonical(notes or {}).decode()})
        return raw

    def _steps(self) -> Floats:
        steps: Floats = np.array(STEPS, np.float32)[self.bits - 1] * self.deviation
        return steps


def projection_from(raw: bytes) -> Projection:
    """What `to_bytes` made. ValueError, or the format's own error, where it is something else."""
    found: dict[str, Any] = load(raw)
    if set(found) != {"mean", "basis", "deviation", "bits"}:
        raise ValueError("it does not hold mean, basis, deviation and bits")
    return Projection(**found)


def fit_projection(embedding: Tensor, size: int) -> Projection:
    """The projection for embeddings like these, float [N, D], N > 1, which takes at most `size` bytes for each.

    ValueError where they do not differ, or have fewer bits than that to be worth.
    """
    if not 1 <= size <= MOST_BYTES:
        raise ValueError(f"an embedding may take 1 to {MOST_BYTES} bytes, not {size}")
    wide = embedding.double()
    mean = wide.mean(0)
    variance, direction = torch.linalg.eigh((wide - mean).T.cov())
    variance, direction = variance.flip(0), direction.flip(1)
    if not float(variance[0]) > 0:
        raise ValueError("all images have the same embedding")
    kept = int((variance[:MOST_COMPONENTS] > 1e-7 * variance[0]).sum())
    bits = allot(variance[:kept].numpy(), 8 * size)
    used = bits > 0
    basis = direction.T[: len(bits)][used]
    # Eigenvectors have no sign of their own: the largest number of each is made positive.
    signs = torch.sign(basis.gather(-1, basis.abs().argmax(-1, keepdim=True)))
    basis, deviation = (basis * signs).float().numpy(), variance[: len(bits)][used].sqrt().float().numpy()
    return Projection(mean.float().numpy(), np.ascontiguousarray(basis), deviation, bits[used])


def allot(variance: NDArray[np.float64], total: int) -> NDArray[np.uint8]:
    """How many of `total` bits each component gets, 0 to MOST_BITS: uint8 of the shape of `variance`, largest first."""
    bits = np.zeros(len(variance), np.uint8)
    error = variance.copy()
    for _ in range(min(total, MOST_BITS * len(variance))):
        best = int(error.argmax())
        bits[best] += 1
        error[best] = -1.0 if bits[best] == MOST_BITS else error[best] / 4
    return bits


def cosine_error(embedding: Tensor, kept: Tensor) -> Tensor:
    """1 - cosine between embeddings and what was kept of them, both about the mean of the first: float32 [N]."""
    mean = embedding.mean(0)
    return 1 - torch.nn.functional.cosine_similarity(embedding - mean, kept - mean, dim=-1)


def losses(projection: Projection, embedding: Tensor) -> dict[str, float]:
    """Mean cosine error of what comes back, float [N, D] that it was not fitted to: against the same components before
    they were rounded, and against the whole embedding."""
    exact = projection.project(embedding)
    back = projection.decode(projection.encode(embedding))
    rounded = cosine_error(projection.restore(exact), projection.restore(back))
    whole = cosine_error(embedding.float(), projection.restore(back))
    return {"by rounding": float(rounded.mean()), "in all": float(whole.mean())}
