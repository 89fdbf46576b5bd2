"""A teacher's weights: which files they are in, that config.json can be true of them, and that all of them are used.

Knows nothing about kinds of networks, pixels or classes. No pickle is read, and nothing that is claimed is built first.
"""

import hashlib
import re
from pathlib import Path
from typing import Any

from torch import nn

from common.errors import ModelError
from training.data.foreign import read_json, refuse_pointer, tensor_headers
from training.teachers.columns import shown

Shapes = dict[str, tuple[int, ...]]
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
DEEPEST = 1000
"""Layers that a configuration may claim beyond one for each tensor of the file."""
FLOATS = ("F16", "BF16", "F32", "F64")
QUANTISED = "a teacher whose weights were quantised is not read: take it as it was before, in 16 or 32 bits"
HEADS = ("classifier", "cls_classifier", "distillation_classifier", "head", "fc")
BOOKKEEPING = re.compile(r"(position_ids|relative_position_index|num_batches_tracked|attn_mask)$")
"""Buffers that old checkpoints hold and that say nothing."""


def tensor_files(folder: Path) -> Shapes:
    """Shapes by name over all of the weight files, as their headers say."""
    files = [WEIGHTS]
    if not (folder / WEIGHTS).is_file():
        if not (folder / INDEX).is_file():
            raise ModelError(_no_weights(folder))
        listed = read_json(folder / INDEX, ModelError, "save the teacher again").get("weight_map")
        if not isinstance(listed, dict) or not all(_plain_name(one) for one in listed.values()):
            raise ModelError(f"{folder / INDEX}: its weight_map must name *.safetensors files of this folder")
        files = sorted(set(listed.values()))
        if missing := [name for name in files if not (folder / name).is_file()]:
            raise ModelError(f"{folder} lacks {shown(missing)}, which {INDEX} names; copy all of the teacher")
    found: Shapes = {}
    for name in files:
        for tensor, (kind, shape) in tensor_headers(folder / name, ModelError, "copy it again, whole").items():
            if tensor.endswith("weight") and kind not in FLOATS:
                raise ModelError(f"{folder / name}: {shown([tensor])} is of type {kind}; {QUANTISED}")
            found[tensor] = shape
    return found


def refuse_claims(document: dict[str, Any], folder: Path, tensors: Shapes) -> None:
    """ModelError where a number of the configuration cannot be true of these weights: it is told before it is built."""
    most = max(1 << 22, _count(tensors))
    layers = DEEPEST + len(tensors)

    def look(key: str, value: object) -> None:
        deep = any(word in key for word in ("layer", "depth", "block"))
        if isinstance(value, dict):
            for name, one in value.items():
                look(str(name), one)
        elif isinstance(value, list):
            if len(value) > DEEPEST:
                raise ModelError(f"{folder / 'config.json'}: {key} has {len(value):,} entries; save the teacher again")
            for one in value:
                look(key, one)
        elif isinstance(value, int) and value > (layers if deep else most):
            raise ModelError(f"{folder / 'config.json'}: {key} = {str(value)[:20]} cannot be true of weights of "
                             f"{_count(tensors):,} numbers; copy config.json and weights of one teacher")  # fmt: skip

    look("config", document)


def refuse_size(empty: nn.Module, folder: Path, tensors: Shapes) -> None:
    """ModelError where a network, made without memory, is far larger than the weights that there are."""
    asked, held = sum(one.numel() for one in empty.parameters()), _count(tensors)
    if asked > 2 * held + 10**7:
        raise ModelError(f"{folder / 'config.json'} describes a network of {asked:,} numbers, and the weights are "
                         f"{held:,}; copy config.json and weights of one teacher")  # fmt: skip


def judge(model: Any, report: dict[str, Any], folder: Path, architecture: str) -> None:
    """What `output_loading_info` says. Left over, a tensor of a stack of layers or of a head matters; another part (a
    text tower, a pooler, a mask token) does not."""
    who = f"teacher {folder}"
    if type(model).__name__ != architecture:
        raise ModelError(f"{who}: config.json says {shown([architecture])}, and its model_type makes a "
                         f"{type(model).__name__}; save the teacher again")  # fmt: skip
    if missing := [name for name in sorted(report["missing_keys"]) if not name.endswith(".num_batches_tracked")]:
        raise ModelError(f"{who} lacks weights that would be random: {shown(missing)}; take a teacher that was trained "
                         "with this head, or train it")  # fmt: skip
    if wrong := sorted(report["mismatched_keys"]):
        name, file, net = wrong[0]
        raise ModelError(f"{who}: {name} is {list(file)} in the file and {list(net)} by config.json ({len(wrong)} such "
                         "tensors); copy config.json and weights of one teacher")  # fmt: skip
    stacks = {name for name, _ in model.named_modules()}
    left = [name for name in sorted(report["unexpected_keys"]) if not BOOKKEEPING.search(name)]
    if over := [one for one in left if re.split(r"\.\d+", one)[0] in stacks or one.split(".")[0] in HEADS]:
        raise ModelError(f"{who}: config.json leaves no place for weights of the file: {shown(over)}; copy config.json "
                         "and weights of one teacher")  # fmt: skip
    if report.get("error_msgs"):
        raise ModelError(f"{who}: {' '.join(str(report['error_msgs'][0]).split())[:200]}")


def digest(folder: Path) -> str:
    """SHA-256 of config.json and of all *.safetensors, in the order of their names."""
    found = hashlib.sha256((folder / "config.json").read_bytes())
    for path in sorted(folder.glob("*.safetensors")):
        refuse_pointer(path, ModelError, "copy it again")
        with path.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _plain_name(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*\.safetensors", name) is not None


def _no_weights(folder: Path) -> str:
    text = f"{folder} holds no *.safetensors weights"
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".h5", ".msgpack",
                                                                             ".pt", ".pth", ".ckpt"))  # fmt: skip
    if any(name.endswith(".safetensors") for name in others):
        return f"{folder} holds {shown(others)} and no {WEIGHTS}; give the file that name, or save the teacher again"
    if others:
        return (f"{text}, only {shown(others)}, which is not read (a pickle can run code): where you trust it, load it "
                "with `transformers` and save it with save_pretrained")  # fmt: skip
    return f"{text}; save the teacher with `save_pretrained`"


def _count(tensors: Shapes) -> int:
    total = 0
    for shape in tensors.values():
        size = 1
        for side in shape:
            size *= side
        total += size
    return total
