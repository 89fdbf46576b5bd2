"""Pairs that training looks at again: as the student it came from, under which channels, and with other fields.

Knows nothing about how they were trained.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import ConfigError, ModelError
from common.pair.manifest import MANIFEST, Manifest, write_pair
from common.pair.origin import recall, remember
from training.recipes.specs import Conditions

if TYPE_CHECKING:
    from training.student.student import Student



def load_student(manifest: Manifest) -> "Student":
    """Both halves of a pair as the one model that training sees."""
    from scrx.decoding.decoder import load_decoder
    from sctx.encoder import load_encoder
    from training.student.student import Shapes, Student

    student = Student(Shapes(manifest.layout, manifest.order, manifest.preprocess.channels, len(manifest.labels),
                             manifest.encoder, manifest.decoder))  # fmt: skip
    student.encoder, student.adapt = load_encoder(manifest)
    student.decoder = load_decoder(manifest)
    return student.eval()


def trained_under(manifest: Manifest) -> "Conditions":
    """The channels that a pair was trained under, of its provenance; the usual ones where that does not say."""
    from training.recipes.specs import Conditions

    try:
        return Conditions(**json.loads(manifest.provenance.get("channel", "{}")))
    except (ValueError, TypeError) as error:
        raise ModelError(f"{manifest.path / MANIFEST}: provenance.channel is damaged: {error}") from None


def write_changed(manifest: Manifest, folder: Path, decoder: bytes | None = None, **fields: Any) -> Manifest:
    """The same weights under a manifest with other `fields`, and so another model id; decoder: that half instead."""
    if folder.resolve() == manifest.path.resolve():
        raise ConfigError(f"{folder} is the pair's own folder; give another, for others may hold the pair by its id")
    document = json.loads((manifest.path / MANIFEST).read_bytes())
    for name in ("schema", "sha256"):
        del document[name]
    halves = [(manifest.path / f"{half}.safetensors").read_bytes() for half in ("encoder", "decoder")]
    written = write_pair(folder, {**document, **fields}, halves[0], decoder or halves[1])
    if known := recall(manifest.id):
        remember(written.id, known)
    return written
