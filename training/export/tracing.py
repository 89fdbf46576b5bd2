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
from common.errors import ConfigError, ModelError, by_pip
from common.files import write_atomic
from common.pair.graphs import blank, command, origin
from common.pair.manifest import Manifest
from common.pair.networks import Signature
from sctx import pipeline

OPSET = 17
"""Which ONNX Runtime knows since 1.12."""
NEEDED = ("onnx", "onnxruntime")
SAME = 1e-3
"""Symbols that are nearer than this are the same."""
CHECKED, MOST_APART = 64, 1e-4
"""Images of noise by which graphs are compared with torch, and how far apart the two may be, of 1 + the value."""


def can_export() -> bool:
    """Whether all is installed that makes and checks graphs."""
    return all(find_spec(one) is not None for one in NEEDED)


@dataclass(frozen=True, slots=True)
class Apart:
    """How far graphs and torch are apart: at most, of 1 + the value; and of how many symbols how many differ."""

    features: float
    logits: float
    differ: int
    symbols: int


def export(manifest: Manifest) -> Apart:
    """Write NAME.onnx beside the weights for each network, and say how far they are from torch.

    ConfigError where a library is missing, ModelError where the weights are damaged or the graphs do not say what torch
    says; then none is left.
    """
    if not can_export():
        raise ConfigError(f"graphs are made and checked by onnx and onnxruntime: install them by {by_pip('export')}")
    written = []
    try:
        half = pipeline.networks_of(manifest)
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
        tell(f"no graphs for devices without torch: {by_pip('export')} and then {command(manifest)}")


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
    """Both backends on noise. ModelError beyond MOST_APART."""
    draw, image = np.random.Generator(np.random.Philox(key=0)), manifest.preprocess
    images = draw.integers(0, 256, (CHECKED, image.height, image.width, image.channels), np.uint8)
    chains = [pipeline.TransmitChain(manifest, "cpu", backend) for backend in ("torch", "onnx")]
    (features, logits), (own_features, own_logits) = (chain.networks.run("encoder", images) for chain in chains)
    half = manifest.layout.max_symbols // 2
    sent = [chain.modulate(chain.encode(images), words=half) for chain in chains]
    differ = int((np.abs(sent[0] - sent[1]) > SAME).sum())
    found = Apart(_apart(own_features, features), _apart(own_logits, logits), differ, sent[0].size)
    if not max(found.features, found.logits) <= MOST_APART:
        raise ModelError(f"the graphs of {manifest.path} are further than {MOST_APART:g} from torch: {found}")
    return found


def _apart(made: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float((np.abs(made - wanted) / (1 + np.abs(wanted))).max())
