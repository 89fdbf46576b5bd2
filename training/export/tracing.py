"""Weights of a pair -> its ONNX graphs, beside them: by them it runs without torch. Each is checked against torch.

Knows nothing about training. The model id stays: graphs lie outside it, and say of which weights they were made.
"""

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from common.console import tell
from common.errors import ConfigError, ModelError
from common.files import write_atomic
from common.pair.graphs import COMMAND, blank, origin
from common.pair.manifest import Manifest
from common.pair.networks import Signature
from scrx.decoding import answerer
from sctx import pipeline

OPSET = 17
"""Which ONNX Runtime knows since 1.12."""
NEEDED = ("onnx", "onnxruntime")
CHECKED, MOST_APART = 64, 1e-4
"""Images of noise by which graphs are compared with torch, and how far apart the two may be, of 1 + the value."""


def can_export() -> bool:
    """Whether all is installed that makes and checks graphs."""
    return all(find_spec(one) is not None for one in NEEDED)


@dataclass(frozen=True, slots=True)
class Apart:
    """How far graphs and torch are apart: at most, of 1 + the value; and of how many symbols how many differ."""

    features: float
    adapted: float
    answers: float
    differ: int
    symbols: int


def export(manifest: Manifest) -> Apart:
    """Write NAME.onnx beside the weights for each network of both halves, and say how far they are from torch.

    ConfigError where a library is missing, ModelError where the weights are damaged or the graphs do not say what torch
    says; then none is left.
    """
    if not can_export():
        raise ConfigError("graphs are made and checked by onnx and onnxruntime: install semlink[export]")
    written = []
    try:
        for half in (pipeline.networks_of(manifest), answerer.networks_of(manifest)):
            modules = half.modules(manifest)
            for name, signature in half.signatures.items():
                written.append(half.graph(name))
                write_atomic(written[-1], graph_of(modules[name], signature, origin(manifest, half.half)))
        return compare(manifest)
    except BaseException:
        for file in written:
            file.unlink(missing_ok=True)
        raise


def finish(manifest: Manifest) -> None:
    """The last step of whatever wrote a pair: its graphs, where what makes them is installed; told where it is not."""
    if can_export():
        export(manifest)
    else:
        tell(f"no graphs for devices without torch: install semlink[export], then `{COMMAND} --pair {manifest.path}`")


def graph_of(module: nn.Module, signature: Signature, said: Mapping[str, str]) -> bytes:
    """One network as an ONNX model, any number of rows; said: what it says of itself."""
    import onnx

    names = [*signature.inputs, *signature.outputs]
    given = tuple(torch.from_numpy(one) for one in blank(signature, 2))
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # the newer exporter needs a library more, and folds less
        torch.onnx.export(
            module, given, f"{folder}/graph", dynamo=False, opset_version=OPSET, input_names=list(signature.inputs),
            output_names=list(signature.outputs), dynamic_axes={name: {0: "batch"} for name in names},
        )  # fmt: skip
        model = onnx.load_model(f"{folder}/graph")
    onnx.helper.set_model_props(model, dict(said))
    raw: bytes = model.SerializeToString(deterministic=True)
    return raw


def compare(manifest: Manifest) -> Apart:
    """Both backends on noise, at every kind of report and reception. ModelError beyond MOST_APART."""
    draw, layout = np.random.Generator(np.random.Philox(key=0)), manifest.layout
    image, snr_db = manifest.preprocess, np.linspace(-10, 30, CHECKED, dtype=np.float32)
    images = draw.integers(0, 256, (CHECKED, image.height, image.width, image.channels), np.uint8)
    told = np.where(np.arange(CHECKED) % 4, snr_db, np.nan).astype(np.float32)
    torch_tx, onnx_tx = (pipeline.TransmitChain(manifest, "cpu", backend) for backend in ("torch", "onnx"))
    features = torch_tx.encode(images)
    sent = torch_tx.modulate(features, told)
    differ = int((sent != onnx_tx.modulate(features, told)).sum())
    heard = sent + (draw.standard_normal((*sent.shape, 2)) @ (1, 1j)).astype(np.complex64)
    gamma = np.where(
        np.arange(sent.shape[1]) < draw.choice(layout.rates, (CHECKED, 1)), 10 ** (snr_db[:, None] / 10), 0
    )
    heard, gamma = np.where(gamma > 0, heard, 0).astype(np.complex64), gamma.astype(np.float32)
    torch_rx, onnx_rx = (answerer.Answerer(manifest, "cpu", backend) for backend in ("torch", "onnx"))
    found = Apart(
        _apart(onnx_tx.encode(images), features),
        _apart(onnx_tx.adapt(features, told), torch_tx.adapt(features, told)),
        max(_apart(one, other) for one, other in zip(onnx_rx.scores(heard, gamma).values(),
                                                     torch_rx.scores(heard, gamma).values(), strict=True)),
        differ, sent.size,
    )  # fmt: skip
    if not max(found.features, found.adapted, found.answers) <= MOST_APART:
        raise ModelError(f"the graphs of {manifest.path} are further than {MOST_APART:g} from torch: {found}")
    return found


def _apart(made: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float((np.abs(made - wanted) / (1 + np.abs(wanted))).max())
