"""How large everything is: `python -m training.experiments.sizes` counts parameters, operations and bytes on the wire.

Knows nothing about accuracy or time. Of the shipped pairs: the transmitter's network, the files, and the
message of each rate as the link writes it. Of teachers: networks of the same shape, whatever their weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from common.cli import begin, invoke, shared_options
from common.files import OutFile, write_json
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from training.report.tabular import print_table

if TYPE_CHECKING:
    from torch import nn

SEQ, STREAM, AIR_START = 1000, 2**32 - 1, 1000 * 128
"""Header fields as they are in the middle of a run: small numbers would take fewer bytes."""
VIT_SIDE, LITE, LITE_SIDE = 224, "efficientnet-lite0", 160
"""Sides in pixels of what the teachers see."""
GATES = ".squeeze_excite."
"""Parts that EfficientNet-Lite lacks, and that `transformers` has standing open in its place; each sees one pixel."""


def pair_sizes(manifest: Manifest) -> dict[str, Any]:
    """Of a pair: its transmitter, its files in bytes, and each rate on the wire."""
    from sctx.encoder import load_encoder
    from training.distillation.measure import transmitter_cost

    parameters, macs = transmitter_cost(load_encoder(manifest), manifest.preprocess)
    files = {name: (manifest.path / f"{name}.safetensors").stat().st_size for name in ("encoder", "decoder")}
    rates = [on_the_wire(manifest, symbols) for symbols in manifest.layout.rates]
    return {"name": manifest.name, "id": manifest.id, "parameters": parameters, "macs": macs, "file_bytes": files,
            "order": manifest.order, "rates": rates}  # fmt: skip


def on_the_wire(manifest: Manifest, symbols: int) -> dict[str, int]:
    """DATA of a frame of so many payload symbols, in bytes: prefix and header; samples, complex64, pilots included."""
    from common.protocol.frames import encode
    from common.protocol.messages import Data, Message
    from sctx.rate.policy import RatePolicy
    from sctx.settings import Settings
    from training.lab.loopback import Loopback

    heard: list[Message] = []
    shape = manifest.preprocess
    with Loopback(manifest, settings=Settings(policy=RatePolicy.parse(f"fixed:{symbols}"), stream=0)) as link:
        link.link.overhear = heard.append
        link.send(np.zeros((shape.height, shape.width, shape.channels), np.uint8))
    first = next(one for one in heard if isinstance(one, Data))
    sent = encode(replace(first, seq=SEQ, stream=STREAM, air_start=AIR_START))
    prefix, header, payload = map(len, sent)
    pilots = manifest.layout.pilots
    return {"symbols": symbols, "pilots": pilots, "uses": symbols + pilots, "header_bytes": prefix + header,
            "sample_bytes": payload}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """A teacher's network, whatever its weights, and what it sees. pair: whose teacher it is; None: nobody's here."""

    name: str
    network: "nn.Module"
    channels: int
    side: int
    pair: str | None = None


def teacher_shapes() -> Iterator[Shape]:
    """The teachers of the recipes, and ViT-B/16."""
    from transformers import AutoModelForImageClassification, ViTConfig, ViTForImageClassification

    from training.recipes.recipe import load_recipe
    from training.teachers.efficientnet_lite import write_lite
    from training.teachers.pretrain import build_model

    for name in ("digits", "cifar10"):
        recipe = load_recipe(name)
        channels = recipe.image.channels
        network = build_model(recipe.teacher, channels, find_pair(name).labels)
        yield Shape(f"teacher of recipe {name}", network, channels, recipe.teacher.size, name)
    with TemporaryDirectory() as folder:
        write_lite(LITE, Path(folder), LITE_SIDE)
        network = AutoModelForImageClassification.from_pretrained(folder)
        yield Shape(LITE, network, 3, LITE_SIDE, "tinyimagenet100")
    vit = ViTForImageClassification(ViTConfig(num_labels=len(find_pair("cifar10").labels)))
    yield Shape("ViT-B/16", vit, 3, VIT_SIDE)


def teacher_sizes() -> list[dict[str, Any]]:
    """Parameters and operations of each."""
    return [_teacher(one) for one in teacher_shapes()]


def _teacher(shape: Shape) -> dict[str, Any]:
    import torch

    from training.distillation.measure import cost_of

    parameters, macs = cost_of(shape.network, torch.zeros(1, shape.channels, shape.side, shape.side))
    gates = [one for part, one in shape.network.named_parameters() if GATES in part]
    return {"name": shape.name, "parameters": parameters - sum(one.numel() for one in gates),
            "macs": macs - sum(one.numel() for one in gates if one.ndim > 1), "side": shape.side}  # fmt: skip


@click.command(help=__doc__.splitlines()[0])
@click.option("--json", "json_file", type=OutFile(), help="Write the numbers here.")
@shared_options
@click.pass_context
def main(context: click.Context, /, log_level: str, debug: bool, **options: Any) -> None:
    begin(context, log_level)
    pairs = [pair_sizes(find_pair(name)) for name in sorted(shipped_pairs())]
    teachers = teacher_sizes()
    rows = [(one["name"], one["parameters"], f"{one['macs'] / 1e6:.2f}") for one in (*pairs, *teachers)]
    print_table("networks", ("network", "parameters", "MMAC"), rows, left=("network",))
    wire = [(one["name"], *rate.values()) for one in pairs for rate in one["rates"]]
    headings = ("pair", "symbols", "pilots", "uses", "prefix and header, bytes", "samples, bytes")
    print_table("messages", headings, wire, left=("pair",))
    if options["json_file"]:
        write_json(options["json_file"], {"pairs": pairs, "teachers": teachers})


if __name__ == "__main__":
    invoke(main, "TRAINING_SIZES")
