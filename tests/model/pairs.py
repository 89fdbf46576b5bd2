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
ACCURACY = Accuracy((0.0, 10.0), ((0.1, 0.2), (0.2, 0.3)), 0.3)


def tiny_encoder(seed: int = 0, shape: EncoderShape = SHAPE) -> Encoder:
    """An encoder with random weights in evaluation mode."""
    torch.manual_seed(seed)
    return make_encoder(shape, 1, CLASSES).eval()


@cache
def tiny_speech(seed: int = 0, layout: Layout = LAYOUT, features: int = FEATURES) -> Speech:
    """What its symbols say, of random features."""
    rng = np.random.default_rng(seed)
    decided = rng.integers(0, CLASSES, 400)
    drawn = rng.normal(size=(400, features)) + decided[:, None] / 5
    return fit_speech(decided, drawn.astype(np.float32), CLASSES, layout, 16)


def rising(symbols: int) -> WordTable:
    """A table of words by which fewer do at higher SNR."""
    grid = (-10.0, 0.0, 10.0, 20.0)
    rows = (tuple(min(1.0, n * 10 ** (snr / 10) / 8) for snr in grid) for n in range(1, symbols + 1))
    return WordTable(grid, tuple(rows))


def tiny_pair(
    folder: Path, seed: int = 0, shape: EncoderShape = SHAPE, layout: Layout = LAYOUT, accuracy: Accuracy = ACCURACY
) -> Manifest:
    """Both written to a folder."""
    encoder = tiny_encoder(seed, shape)
    features = encoder.head.in_features
    weights = {name: one.numpy().copy(order="C") for name, one in encoder.state_dict().items()}
    speech = tensors_of(tiny_speech(seed, layout, features))
    said = {SPEECH + name: np.ascontiguousarray(one) for name, one in speech.items()}
    shares = np.full((CLASSES, CLASSES), 0.1 / (CLASSES - 1), np.float32)
    np.fill_diagonal(shares, 0.9)
    document = {
        "name": "tiny",
        "layout": asdict(layout),
        "order": 16,
        "preprocess": asdict(PREPROCESS),
        "dataset": "digits",
        "labels": tuple("0123456789"),
        "tasks": ("classify", "embedding"),
        "encoder": asdict(shape),
        "features": features,
        "words": asdict(rising(layout.max_symbols)),
        "accuracy": asdict(accuracy),
        "provenance": {"command": "test"},
    }
    return write_pair(folder, document, save({**weights, **said}), save({**said, "classes": shares}))
