"""Networks of a pair run by ONNX Runtime, from graphs beside the weights: NAME.onnx for each of a half's networks.

A graph is made of the weights (`python -m training.export`) and is no part of the model id. It says of which weights
and which preprocessing it was made: one of others is refused. Knows nothing about what the networks are for.
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError, by_pip
from common.pair.manifest import LARGEST_HALF, Half, Manifest, read_file
from common.pair.networks import Backend, Networks, Signature
from common.text import safe

SILENT = 4
"""Level of ONNX Runtime's own log: what is wrong comes as an exception, and is told by us."""
TENSORS = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class GraphRunner:
    """See `Runner`. On the CPU, with one thread: networks this small lose to the hand-over between threads."""

    backend: Backend = "onnx"

    def __init__(self, networks: Networks) -> None:
        """ModelError where a graph is missing, damaged, or not one of this pair's."""
        self._sessions = {name: _opened(networks, name, one) for name, one in networks.signatures.items()}

    def run(self, name: str, *inputs: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
        """See `Runner`."""
        session, names = self._sessions[name]
        return tuple(session.run(None, dict(zip(names, inputs, strict=True))))


def origin(manifest: Manifest, half: Half) -> dict[str, str]:
    """What a graph says of itself: of which weights it was made, and of what else it depends on."""
    image = json.dumps(asdict(manifest.preprocess), sort_keys=True, separators=(",", ":"))
    return {"semlink.weights": manifest.sha256[half], "semlink.preprocess": image}


def command(manifest: Manifest) -> str:
    """For messages: what makes a pair's graphs."""
    return f"`python -m training.export --pair {shlex.quote(str(manifest.path))}`"


def blank(signature: Signature, rows: int) -> list[NDArray[Any]]:
    """Inputs of so many rows, all 0."""
    return [np.zeros((rows, *shape), kind) for kind, shape in signature.inputs.values()]


def _runtime() -> Any:
    """ONNX Runtime, which would report its use to its makers and keep a number of this machine (since 1.29)."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when it is loaded
    import onnxruntime

    return onnxruntime


def _opened(networks: Networks, name: str, signature: Signature) -> tuple[Any, list[str]]:
    path, manifest = networks.graph(name), networks.manifest
    again = f"{command(manifest)} makes it, after {by_pip('export')}"
    if not path.exists():
        raise ModelError(f"{path} is not there, and the backend onnx runs it: {again}; or take the backend torch")
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = SILENT
    with _told(f"{path} cannot be run; {again}"):
        session = runtime.InferenceSession(read_file(path, LARGEST_HALF), options, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    if {key: said.get(key) for key in origin(manifest, networks.half)} != origin(manifest, networks.half):
        raise ModelError(f"{path} was made of other weights or for other images than those of this pair: {again}")
    wanted = {key: (TENSORS[kind], list(shape)) for key, (kind, shape) in signature.inputs.items()}
    found = {one.name: (one.type, one.shape[1:]) for one in session.get_inputs()}
    if found != wanted or [one.name for one in session.get_outputs()] != list(signature.outputs):
        raise ModelError(f"{path} takes or gives something else than the manifest says: {again}")
    with _told(f"{path} cannot be run; {again}"):
        _check(session.run(None, dict(zip(wanted, blank(signature, 2), strict=True))), signature.outputs)
    return session, list(wanted)


def _check(made: list[Any], outputs: Mapping[str, tuple[int, ...]]) -> None:
    for one, (name, shape) in zip(made, outputs.items(), strict=True):
        if not isinstance(one, np.ndarray) or (one.dtype, one.shape) != (np.dtype(np.float32), (2, *shape)):
            raise ValueError(f"its {name} is no float32 [B, {', '.join(map(str, shape))}]")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """ONNX Runtime's own exceptions have no class of their own in common but Exception."""
    try:
        yield
    except Exception as error:
        raise ModelError(f"{what} ({safe(' '.join(str(error).split()), 200)})") from error
