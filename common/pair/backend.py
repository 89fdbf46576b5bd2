"""The networks of one half of a pair -> functions over numpy arrays: the one place that knows which runtimes there are.

    onnx    ONNX Runtime on the CPU, by the graphs that lie beside the weights (`graphs.py`)
    torch   the reference, on any device, by the weights themselves (`torched.py`)
    auto    torch on a GPU; on the CPU onnx where it is installed and the pair has graphs, else torch

Knows nothing about what the networks are for. Neither runtime is loaded before it is needed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from common.errors import ConfigError, by_pip
from common.pair.networks import AUTO, BACKENDS, Backend, Networks, Runner

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""One of them is there where a driver of a GPU is: NVIDIA's, that of WSL, AMD's. Without one, torch is not asked."""


def open_networks(networks: Networks, backend: str = AUTO, device: str = AUTO, threads: int = 0,
                  place: int = 0) -> Runner:  # fmt: skip
    """backend, device: as `--backend` and `--device` name them. threads > 0: what torch computes with in this process.

    place: which of the processes that share the devices of this machine this one is.
    ConfigError: no such runtime here. ModelError: weights or graphs are missing, damaged or not those of the manifest.
    """
    if pick_backend(networks, backend, device) == "onnx":
        from common.pair.graphs import GraphRunner

        return GraphRunner(networks)
    from common.pair.torched import TorchRunner

    return TorchRunner(networks, device, threads, place)


def pick_backend(networks: Networks, backend: str, device: str) -> Backend:
    """What `open_networks` takes; ConfigError where it is not installed, or cannot use the device."""
    if backend == "torch":
        _require_one("torch")
        return "torch"
    if backend == "onnx":
        _require_one("onnxruntime")
        if device not in (AUTO, "cpu"):
            raise ConfigError(f"device {device}: the backend onnx runs on the CPU; give cpu, or the backend torch")
        return "onnx"
    if backend != AUTO:
        raise ConfigError(f"backend {backend} is not one of {', '.join(BACKENDS)}")
    _require_one("onnxruntime", "torch")
    if not _is_here("torch"):
        return pick_backend(networks, "onnx", device)
    graphs = _is_here("onnxruntime") and all(networks.graph(name).exists() for name in networks.signatures)
    return "onnx" if graphs and (device == "cpu" or (device == AUTO and not _has_gpu())) else "torch"


def keep_to_one_thread() -> None:
    """For a process that runs nothing but small batches: more threads only take the cores from others.

    ONNX Runtime has one thread here anyway.
    """
    if "torch" in sys.modules:
        from common.pair.device import limit_threads

        limit_threads(1)


def _is_here(library: str) -> bool:
    return find_spec(library) is not None


def _require_one(*libraries: str) -> None:
    if not any(map(_is_here, libraries)):
        bring = {"onnxruntime": f"ONNX Runtime by {by_pip('edge')}", "torch": f"torch by {by_pip('model')}"}
        how = ", or ".join(bring[one] for one in libraries)
        raise ConfigError(f"nothing is installed that runs a pair's networks as asked: install {how}")


def _has_gpu() -> bool:
    if not any(Path(file).exists() for file in GPU_FILES):
        return False
    from common.pair.device import pick_device

    return pick_device(AUTO).type != "cpu"
