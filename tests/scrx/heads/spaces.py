"""A space that is what it says: classes, pictures and strangers are drawn from its own model, so answers are known."""

from pathlib import Path

import numpy as np

from common.pair.agreement import Agreement
from common.pair.shapes import Preprocess
from common.phy.layout import Layout
from scrx.heads.head import Example, Head
from scrx.heads.space import FORMAT, About, Space

WIDE = 12
NOISE = (0.5, 0.1)
EDGE = 10.0
"""Bits between the two bins: little and much was received."""
LITTLE, MUCH = 5.0, 20.0


def pair(model: str = "ab" * 32, name: str = "made") -> Agreement:
    """What a head belongs to."""
    return Agreement(name=name, id=model, layout=Layout((3,), 4), labels=tuple("abcdefgh"), accuracy=None,
                     preprocess=Preprocess(2, 2, 1, (0.0,), (1.0,)), tasks=("classify", "embedding"))  # fmt: skip


def space(model: str = "ab" * 32, wide: int = WIDE, limit: float = 0.0, seed: int = 0) -> Space:
    """Two bins of one turn, each with a scale and a mean of its own."""
    random = np.random.default_rng(seed)
    turns = np.linalg.qr(random.normal(size=(wide, wide)))[0] * np.array([2.0, 3.0])[:, None, None]
    about = About(FORMAT, model, "made", "test", (EDGE,), (1.0, 5.0), (0.05, 0.2))
    limits = np.full((2, 2, 2), limit, np.float32)
    mean = random.normal(size=(2, wide)).astype(np.float32)
    return Space(about, mean, turns.astype(np.float32), np.array(NOISE, np.float32), np.full(2, 1000.0, np.float32),
                 np.ones(2, np.float32), limits)  # fmt: skip


def pictures(of: Space, means: np.ndarray, bits: float, random: np.random.Generator) -> np.ndarray:
    """means: of each picture's class, float [N, E] -> embeddings, float32 [N, E]."""
    one = int(of.bins(np.array([bits], np.float32))[0])
    u = means + np.sqrt(of.noise[one]) * random.normal(size=means.shape)
    return (u @ np.linalg.inv(of.white[one].astype(np.float64)) + of.mean[one]).astype(np.float32)


def examples(of: Space, mean: np.ndarray, count: int, bits: float, random: np.random.Generator) -> list[Example]:
    """Received pictures of one class."""
    drawn = pictures(of, np.repeat(mean[None], count, 0), bits, random)
    return [Example("0f" * 16, seq, bits, row) for seq, row in enumerate(drawn)]


def head(of: Space, means: np.ndarray, count: int, bits: float, random: np.random.Generator, name: str = "h") -> Head:
    """Classes c0, c1 ... of these means."""
    made = Head.empty(name, pair(), of.wide)
    for k, mean in enumerate(means):
        made = made.with_class(f"c{k}", "", examples(of, mean, count, bits, random))
    return made


def put_space(folder: Path, of: Space) -> None:
    """Beside a pair."""
    (folder / "space.safetensors").write_bytes(of.packed())
