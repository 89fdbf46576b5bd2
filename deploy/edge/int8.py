"""An encoder in 8 bits beside the one in 32: what it costs in accuracy, and what it gains in time, on this processor.

    ORT_DISABLE_TELEMETRY=1 python deploy/edge/int8.py digits
    ORT_DISABLE_TELEMETRY=1 python deploy/edge/int8.py cifar10 --dataset FOLDER --count 5000

Static (QDQ, unsigned activations, signed weights per channel), calibrated on training images. Nothing is kept: it is a
measurement. Needs semlink[train] and, of a pair trained elsewhere, its data set.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from common.images.datasets import load_for
from common.pair.manifest import find_pair
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


def encoded(session: onnxruntime.InferenceSession, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
    """Logits of each image alone, and the median of the microseconds of the processor that it took."""
    logits, took = [], []
    for image in images:
        began = time.thread_time_ns()
        logits.append(session.run(["logits"], {"images": image[None]})[0])
        took.append(time.thread_time_ns() - began)
    return np.concatenate(logits), float(np.median(took)) / 1e3


@click.command(help=__doc__.splitlines()[0] if __doc__ else "")
@click.argument("model")
@click.option("--dataset", help="Folder or Hub id.  [default: what the pair was trained on]")
@click.option("--count", default=5000, show_default=True, help="Test images at most.")
def main(model: str, dataset: str | None, count: int) -> None:
    pair = find_pair(model)
    where = dataset or dataset_of(pair)
    test, train = load_for(pair, where, "test"), load_for(pair, where, "train")
    images, labels = test.images[:count], test.labels[:count]
    with tempfile.TemporaryDirectory() as folder:
        small, prepared = Path(folder) / "int8.onnx", Path(folder) / "prepared.onnx"
        quant_pre_process(pair.path / "encoder.onnx", prepared)
        quantize_static(prepared, small, Reader(train.images[:CALIBRATED]), quant_format=QuantFormat.QDQ,
                        per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)  # fmt: skip
        sessions = {"fp32": opened(pair.path / "encoder.onnx"), "int8": opened(small)}
        size = small.stat().st_size
    found = {name: encoded(session, images) for name, session in sessions.items()}
    print(f"{model}: {len(images)} images; encoder {found['fp32'][1]:.0f} us in fp32, {found['int8'][1]:.0f} in int8, "
          f"file {size / 1024:.0f} KiB")  # fmt: skip
    right = {name: logits.argmax(1) == labels for name, (logits, _) in found.items()}
    lost = right["fp32"].astype(float) - right["int8"]
    print(f"  the transmitter's decision: {100 * right['fp32'].mean():.2f} % in fp32, "
          f"{100 * right['int8'].mean():.2f} in int8, lost {100 * lost.mean():.2f} +- "
          f"{196 * lost.std() / np.sqrt(len(lost)):.2f} points")  # fmt: skip


if __name__ == "__main__":
    main()
