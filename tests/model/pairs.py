"""An untrained pair of the smallest size, for tests that need files and shapes but no skill."""

from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

from common.pair.manifest import Manifest, write_pair
from common.pair.shapes import Accuracy, EncoderShape, Preprocess, WordTable
from common.pair.speech import Speech, tensors_of
from common.pair.tensors import SPEECH
from common.phy.layout import Layout
from sctx.encoder import Encoder, make_encoder
from training.words.fitting import fit_speech

LAYOUT = Layout((2, 4), pilots=4, slot=16)
PREPROCESS = Preprocess(8, 8, 1, (0.3,), (0.4,))
SHAPE = EncoderShape(4, 1, 1)
CLASSES, FEATURES = 10, 16
TABLE = WordTable((0.0, 10.0), tuple((0.1 * n, min(1.0, 0.2 * n)) for n in range(1, 7)))


def tiny_encoder(seed: int = 0) -> Encoder:
    """An encoder with random weights in evaluation mode."""
    torch.manual_seed(seed)
    return make_encoder(SHAPE, 1, CLASSES).eval()


@cache
def tiny_speech(seed: int = 0) -> Speech:
    """What its symbols say, of random features."""
    rng = np.random.default_rng(seed)
    decided = rng.integers(0, CLASSES, 400)
    features = rng.normal(size=(400, FEATURES)).astype(np.float32) + decided[:, None] / 5
    return fit_speech(decided, features.astype(np.float32), CLASSES, LAYOUT, 16)


def tiny_pair(folder: Path, seed: int = 0) -> Manifest:
    """Both written to a folder."""
    weights = {name: one.numpy().copy(order="C") for name, one in tiny_encoder(seed).state_dict().items()}
    said = {SPEECH + name: np.ascontiguousarray(one) for name, one in tensors_of(tiny_speech(seed)).items()}
    shares = np.full((CLASSES, CLASSES), 0.1 / (CLASSES - 1), np.float32)
    np.fill_diagonal(shares, 0.9)
    document = {
        "name": "tiny",
        "layout": asdict(LAYOUT),
        "order": 16,
        "preprocess": asdict(PREPROCESS),
        "dataset": "digits",
        "labels": tuple("0123456789"),
        "tasks": ("classify", "embedding"),
        "encoder": asdict(SHAPE),
        "features": FEATURES,
        "words": asdict(TABLE),
        "accuracy": asdict(Accuracy((0.0, 10.0), ((0.1, 0.2), (0.2, 0.3)), 0.3)),
        "provenance": {"command": "test"},
    }
    return write_pair(folder, document, save({**weights, **said}), save({**said, "classes": shares}))
