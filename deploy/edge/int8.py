"""An encoder in 8 bits beside the one in 32: what it costs in accuracy, and what it gains in time, on this processor.

    ORT_DISABLE_TELEMETRY=1 python deploy/edge/int8.py digits
    ORT_DISABLE_TELEMETRY=1 python deploy/edge/int8.py cifar10 --dataset FOLDER --count 5000
    ORT_DISABLE_TELEMETRY=1 qemu-x86_64-static -cpu Haswell .venv/bin/python deploy/edge/int8.py cifar10 --count 60

Static (QDQ, signed weights per channel), calibrated on training images; activations unsigned, which is the quick form,
and signed, which is the one that no processor computes otherwise: without instructions for it (VNNI) the products of
unsigned ones are added up in 16 bits and saturate. The third command shows that, by emulation; its times mean nothing.
Nothing is kept: it is a measurement. Needs semlink[train] and, of a pair trained elsewhere, its data set.
"""

import atexit
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from common.images.datasets import load_for
from common.pair.manifest import Manifest, find_pair
from common.pair.origin import dataset_of

CALIBRATED = 256


class Reader(CalibrationDataReader):
    """Training images, one at a time."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._left: Iterator[NDArray[np.uint8]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next, or None."""
        image = next(self._left, None)
        return None if image is None else {"images": image[None]}


def opened(model: Path) -> onnxruntime.InferenceSession:
    """As `common/pair/graphs.py` opens it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.read_bytes(), options, providers=["CPUExecutionProvider"])


def quantised(pair: Manifest, images: NDArray[np.uint8], activations: QuantType) -> Path:
    """Its graph in 8 bits, in a folder that goes when this process ends. images: to calibrate on."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    quant_pre_process(pair.path / "encoder.onnx", folder / "prepared.onnx")
    quantize_static(folder / "prepared.onnx", folder / "int8.onnx", Reader(images), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=activations, weight_type=QuantType.QInt8)  # fmt: skip
    return folder / "int8.onnx"


@dataclass(frozen=True, slots=True)
class Encoded:
    """features, logits: float32 [N, ...], each image alone; us: of the processor, the median."""

    features: NDArray[np.float32]
    logits: NDArray[np.float32]
    us: float

    @classmethod
    def by(cls, model: Path, images: NDArray[np.uint8]) -> "Encoded":
        """What a graph makes of them."""
        session, made, took = opened(model), [], []
        for image in images:
            began = time.thread_time_ns()
            made.append(session.run(["features", "logits"], {"images": image[None]}))
            took.append(time.thread_time_ns() - began)
        features, logits = map(np.concatenate, zip(*made, strict=True))
        return cls(features, logits, float(np.median(took)) / 1e3)


def told(name: str, whole: Encoded, small: Encoded, labels: NDArray[np.int64]) -> str:
    """What one form costs and gains, on a line; features by how much of their variance."""
    right = [(one.logits.argmax(1) == labels).astype(float) for one in (whole, small)]
    lost, apart = right[0] - right[1], whole.features - whole.features.mean(0)
    missed = ((small.features - whole.features) ** 2).sum() / (apart**2).sum()
    differ = (whole.logits.argmax(1) != small.logits.argmax(1)).sum()
    return (f"  {name}: {small.us:.0f} us, {whole.us / small.us:.2f} times as fast; {differ} decisions differ, "
            f"{100 * right[1].mean():.2f} % are right, lost {100 * lost.mean():.2f} +- "
            f"{196 * lost.std() / np.sqrt(len(lost)):.2f} points; features {100 * missed:.2f} % off")  # fmt: skip


@click.command(help=__doc__.splitlines()[0] if __doc__ else "")
@click.argument("model")
@click.option("--dataset", help="Folder or Hub id.  [default: what the pair was trained on]")
@click.option("--count", default=5000, show_default=True, help="Test images at most.")
def main(model: str, dataset: str | None, count: int) -> None:
    pair = find_pair(model)
    where = dataset or dataset_of(pair)
    test, train = load_for(pair, where, "test"), load_for(pair, where, "train").some(CALIBRATED).images
    some = test.some(count)
    images, labels = some.images, some.labels
    whole = Encoded.by(pair.path / "encoder.onnx", images)
    accuracy = 100 * (whole.logits.argmax(1) == labels).mean()
    print(f"{model}: {len(images)} images; in 32 bits {whole.us:.0f} us, {accuracy:.2f} % of the decisions are right")
    for name, activations in (("unsigned activations", QuantType.QUInt8), ("signed", QuantType.QInt8)):
        print(told(name, whole, Encoded.by(quantised(pair, train, activations), images), labels), flush=True)


if __name__ == "__main__":
    main()
