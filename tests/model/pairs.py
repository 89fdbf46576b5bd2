"""An untrained pair of the smallest size, for tests that need files and shapes but no skill."""

from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save
from training.student.end_to_end import Shapes, Student

from common.pair.manifest import Manifest, write_pair
from common.pair.shapes import Accuracy, DecoderShape, EncoderShape, Preprocess
from common.phy.layout import Layout

LAYOUT = Layout((2, 4), pilots=4, slot=16)
PREPROCESS = Preprocess(8, 8, 1, (0.3,), (0.4,))


def tiny_student(seed: int = 0, adaptive: bool = True) -> Student:
    """A student with random weights in evaluation mode."""
    torch.manual_seed(seed)
    shapes = Shapes(LAYOUT, 16, 1, 10, EncoderShape(4, 1, 1, adaptive), DecoderShape(16, 1, 8))
    student = Student(shapes)
    if student.adapt is not None:
        torch.nn.init.normal_(student.adapt.outer.weight)
    return student.eval()


def tiny_pair(folder: Path, seed: int = 0, adaptive: bool = True) -> Manifest:
    """`tiny_student` written to a folder."""
    student = tiny_student(seed, adaptive)
    weights = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    decoder = {name.removeprefix("decoder."): weights.pop(name) for name in list(weights) if name.startswith("decoder")}
    document = {
        "name": "tiny",
        "layout": asdict(LAYOUT),
        "order": 16,
        "preprocess": asdict(PREPROCESS),
        "dataset": "digits",
        "labels": tuple("0123456789"),
        "tasks": ("classify", "embedding"),
        "encoder": asdict(student.shapes.encoder),
        "decoder": asdict(student.shapes.decoder),
        "accuracy": asdict(Accuracy((0.0, 10.0), ((0.1, 0.2), (0.2, 0.3)), 0.3)),
        "provenance": {"command": "test"},
    }
    return write_pair(folder, document, save(weights), save(decoder))
