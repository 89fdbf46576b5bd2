"""A pair from somebody else: whatever its files hold, it is read and right, or refused in one line, soon and in little
memory."""

import copy
import json
import os
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from common.errors import ConfigError, ModelError
from common.pair import manifest as pairs
from common.pair.manifest import MANIFEST, find_pair, read_half, read_manifest
from scrx.decoding.answerer import Answerer
from sctx.encoder import MOST_MACS, ResNet
from sctx.pipeline import TransmitChain
from tests.model.pairs import tiny_pair

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_pair(tmp_path / "pair").path


def document_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return document


def refused(folder: Path) -> str:
    """The one line with which reading the manifest, or building either half, ends; "" where all is well."""
    said = ""
    try:
        manifest = read_manifest(folder)
        TransmitChain(manifest)
        Answerer(manifest)
    except ModelError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1000
    return said


def put(*path: str | int, value: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        at: Any = document
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


WRONG: dict[str, Change] = {
    "features without end": put("features", value=20_000_000),
    "features of another file": put("features", value=16_000),
    "features as a text": put("features", value="16"),
    "blocks without end": put("encoder", "blocks", value=10**9),
    "width of another file": put("encoder", "width", value=8),
    "a width that is a float": put("encoder", "width", value=4.0),
    "a width that is true": put("encoder", "blocks", value=True),
    "a width in words": put("encoder", "width", value="4"),
    "a stride of 0": put("encoder", "stem_stride", value=0),
    "pilots as a float": put("layout", "pilots", value=1e9),
    "no pilots, by which words and features are heard": put("layout", "pilots", value=0),
    "pilots without end": put("layout", "pilots", value=10**9),
    "pilots and a slot without end": lambda d: d["layout"].update(pilots=10**9, slot=2 * 10**9),
    "a slot without end": put("layout", "slot", value=10**12),
    "3,000 increments": put("layout", "increments", value=[1] * 3000),
    "no increments": put("layout", "increments", value=[]),
    "an increment of -1": put("layout", "increments", value=[2, -1]),
    "an increment of 2.5": put("layout", "increments", value=[2, 2.5]),
    "increments as a text": put("layout", "increments", value="24"),
    "another order": put("order", value=5),
    "order as a float": put("order", value=16.0),
    "an image of terabytes": put("preprocess", "height", value=10**6),
    "an image that takes hours": lambda d: (d["preprocess"].update(height=2048, width=2048),
                                            d["encoder"].update(width=512, blocks=60)),
    "channels 2": put("preprocess", "channels", value=2),
    "a std of 0": put("preprocess", "std", value=[0.0]),
    "a mean without end": put("preprocess", "mean", value=[1e300]),
    "means without end": put("preprocess", "mean", value=[0.5] * 10_000),
    "words of another ladder": put("words", value={"snr_db": [0.0, 1.0], "right": [[0.5, 1.0]] * 7}),
    "words that are no chances": put("words", "right", 0, 0, value=2.0),
    "3 million labels": put("labels", value=["a"] * 100_001),
    "a label of a megabyte": put("labels", 0, value="a" * 1_000_000),
    "a label that is a number": put("labels", 3, value=3),
    "no labels": put("labels", value=[]),
    "one label more": lambda d: d["labels"].append("eleven"),
    "labels as a text": put("labels", value="0123456789"),
    "half a character": put("labels", 0, value="\ud800"),
    "an accuracy of 2": put("accuracy", "acc", 0, 0, value=2.0),
    "an accuracy of -1": put("accuracy", "clean", value=-1),
    "an accuracy as a text": put("accuracy", "acc", 0, 0, value="0.5"),
    "an accuracy too large for a float": put("accuracy", "clean", value=10**400),
    "a falling grid": put("accuracy", "snr_db", value=[10.0, 0.0]),
    "rows as one number": put("accuracy", "acc", value=[0.5, 0.5]),
    "a hash of another kind": put("sha256", "encoder", value=7),
    "one hash": lambda d: d["sha256"].pop("decoder"),
    "words without end": put("words", value={"snr_db": [float(k) for k in range(5000)], "right": [[0.0] * 5000] * 6}),
    "a calibration, as older pairs had": put("calibration", value={"edges_db": [], "temperature": [[1.0]] * 2}),
    "an older schema": put("schema", value=1),
    "notes that are no texts": put("provenance", value={"seed": 3}),
    "notes as a list": put("provenance", value=["a"]),
    "a deep note": put("provenance", "deep", value=[[[[]]]]),
    "no name": put("name", value=""),
    "a name without end": put("name", value="n" * 10_000),
    "no tasks": put("tasks", value=[]),
    "an unknown field": put("encoder", "depth", value=1),
    "no encoder": lambda d: d.pop("encoder"),
    "an encoder that is a list": put("encoder", value=[4, 1, 1]),
    "another kind of encoder": put("encoder", "kind", value="transformer"),
    "a kind without end": put("encoder", "kind", value="k" * 10_000),
    "no kind": put("encoder", "kind", value=""),
    "a kind that is a number": put("encoder", "kind", value=3),
    "a kind that paints": put("encoder", "kind", value="\x1b[2J"),
    "a task that is unknown": put("tasks", value=["classify", "caption"]),
    "a head that is no more": put("content", value={"hidden": 8, "groups": 2, "snr_db": [0.0, 1.0]}),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_manifest_that_says_what_cannot_be_is_refused_in_one_line(folder: Path, name: str) -> None:
    document = document_of(folder)
    WRONG[name](document)
    (folder / MANIFEST).write_text(json.dumps(document))
    tracemalloc.start()
    said = refused(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said
    assert peak < 64 << 20


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"[" * 200_000, "nests too deep"),
        (b'{"a":' * 200_000, "nests too deep"),
        (b'{"schema": 1, "schema": 1}', "stands there twice"),
        (b'{"schema": NaN}', "no JSON number"),
        (b'{"schema": 2, "accuracy": {"clean": Infinity}}', "no JSON number"),
        (b'{"schema": ' + b"9" * 100_000 + b"}", "damaged"),
        (b"\xff\xfe{}", "damaged"),
        (b" " * (5 << 20), "5 MiB"),
        (b"", "damaged"),
        (b"null", "damaged"),
        (b'"' + b"a" * 1000, "damaged"),
    ],
)
def test_a_manifest_that_is_no_sound_json_is_refused(folder: Path, raw: bytes, reason: str) -> None:
    (folder / MANIFEST).write_bytes(raw)
    assert reason in refused(folder)


def with_half(folder: Path, half: str, raw: bytes) -> None:
    """Replace a half, and its hash with it: the hash says nothing about what a file holds."""
    (folder / f"{half}.safetensors").write_bytes(raw)
    document = document_of(folder)
    document["sha256"][half] = sha256(raw).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(document))


def tensors(folder: Path, half: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load((folder / f"{half}.safetensors").read_bytes())
    return found


def changed(kind: str, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = min(
        name for name, one in weights.items() if one.ndim == 2 and one.is_floating_point() and len(set(one.shape)) > 1
    )
    match kind:
        case "another shape":
            weights[name] = weights[name][:-1].clone()
        case "turned":
            weights[name] = weights[name].T.contiguous()
        case "another type":
            weights[name] = weights[name].double()
        case "integers":
            weights[name] = weights[name].long()
        case "not a number":
            weights[name] = torch.full_like(weights[name], torch.nan)
        case "infinite":
            weights[name][0, 0] = torch.inf
        case "one less":
            del weights[name]
        case "one more":
            weights["strange\x1b[2J"] = torch.zeros(1)
        case "none":
            weights = {}
    return weights


KINDS = (
    "another shape", "turned", "another type", "integers", "not a number", "infinite", "one less", "one more", "none",
)  # fmt: skip


@pytest.mark.parametrize("half", ["encoder", "decoder"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_half_whose_hash_fits_and_whose_content_does_not_is_refused(folder: Path, half: str, kind: str) -> None:
    with_half(folder, half, save(changed(kind, tensors(folder, half))))
    assert f"{half}.safetensors" in refused(folder)


def headers() -> Iterator[bytes]:
    """safetensors files whose header is a lie."""
    yield b""
    yield b"\x00" * 8
    yield struct.pack("<Q", 1 << 40) + b"{}"
    yield struct.pack("<Q", 2) + b"{}"
    yield struct.pack("<Q", 2**64 - 1)
    for text in (b"[" * 10_000, b'{"a": {"dtype": "F32", "shape": [4000000000, 4000000000], "data_offsets": [0, 4]}}',
                 b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}',
                 b'{"a": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 4]}}',
                 b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
                 b'{"a": 3}', b"null", b"\xff"):  # fmt: skip
        yield struct.pack("<Q", len(text)) + text + b"\x00" * 4


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_a_half_that_is_no_sound_file_of_tensors_is_refused(folder: Path, half: str) -> None:
    for raw in headers():
        with_half(folder, half, raw)
        assert refused(folder), raw[:60]


def test_files_that_are_none_or_too_large_are_refused_without_reading(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(folder)
    half = folder / "decoder.safetensors"
    half.unlink()
    os.mkfifo(half)
    with pytest.raises(ModelError, match="no regular file"):
        read_half(manifest, "decoder")
    half.unlink()
    with half.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match="MiB"):
        read_half(manifest, "decoder")
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)
    with pytest.raises(ConfigError):
        find_pair(folder)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    assert "no regular file" in refused(folder)


def test_what_a_pair_may_say_is_still_taken(folder: Path) -> None:
    """Sound ones of the same kind: names in any script, an int for a float, defaults left out, a foreign note."""
    document = document_of(folder)
    document["labels"][:4] = ["Käse", "寿司", "a b/c", "\x1b[2J"]
    document["accuracy"]["acc"][0] = [0, 1]
    del document["encoder"]["stem_stride"]
    document["provenance"]["from"] = "[red]me[/]"
    document["dataset"] = "/home/me/private"
    (folder / MANIFEST).write_text(json.dumps(document))
    assert refused(folder) == ""
    assert read_manifest(folder).labels[1] == "寿司"


VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 16, 64, 2**16, 2**31, 2**53, 2**63, 10**30, 0.5, -0.5, 1e9, 1e308, "", "4",
    "\x1b[2J", "x" * 300, [], [1], [1, 2, 3], [[1.0]], [None], ["a"] * 50, {}, {"a": 1}, {"hidden": 4}, [-1] * 8,
)  # fmt: skip


def mutated(document: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """One to three places of the manifest changed, moved, doubled or dropped."""
    document = copy.deepcopy(document)
    for _ in range(dice.randint(1, 3)):
        at: Any = document
        while True:
            key = dice.choice(list(at)) if isinstance(at, dict) else dice.randrange(len(at))
            if isinstance(at[key], dict | list) and at[key] and dice.random() < 0.75:
                at = at[key]
                continue
            break
        match dice.randrange(5):
            case 0 | 1 | 2:
                at[key] = copy.deepcopy(dice.choice(VALUES))
            case 3:
                del at[key]
            case 4 if isinstance(at, list):
                at.extend(copy.deepcopy(at) * dice.choice((1, 3)))
            case _:
                at[key] = [at[key]]
        if not document:
            break
    return document


def fuzz(folder: Path, count: int, seed: int) -> None:
    """Whatever is changed, the pair answers or is refused; bytes of a half are cut and flipped too."""
    dice, sound = random.Random(seed), document_of(folder)
    halves = {half: (folder / f"{half}.safetensors").read_bytes() for half in ("encoder", "decoder")}
    outcomes = {True: 0, False: 0}
    for number in range(count):
        half = dice.choice(("encoder", "decoder"))
        if number % 3:
            (folder / MANIFEST).write_text(json.dumps(mutated(sound, dice)))
        else:
            raw = bytearray(halves[half])
            for _ in range(dice.randint(1, 4)):
                place = dice.randrange(min(len(raw), 600) if dice.random() < 0.8 else len(raw))
                raw[place] ^= 1 << dice.randrange(8)
            (folder / MANIFEST).write_text(json.dumps(sound))
            with_half(folder, half, bytes(raw[: dice.randrange(len(raw))] if dice.random() < 0.2 else raw))
        outcomes[bool(refused(folder))] += 1
        (folder / f"{half}.safetensors").write_bytes(halves[half])
    assert min(outcomes.values()) > count // 200, outcomes


@pytest.mark.slow
def test_fuzzed_pairs_answer_or_are_refused(folder: Path) -> None:
    fuzz(folder, 300, 0)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 9))
def test_many_fuzzed_pairs_answer_or_are_refused(folder: Path, seed: int) -> None:
    fuzz(folder, 3000, seed)


def test_limits_are_above_the_shipped_pairs() -> None:
    for name in pairs.shipped_pairs():
        manifest = find_pair(name)
        assert (manifest.path / MANIFEST).stat().st_size < pairs.LARGEST_MANIFEST / 100
        size = manifest.preprocess.height, manifest.preprocess.width
        assert ResNet.macs(manifest.encoder, *size) < MOST_MACS / 100
