"""ONNX Runtime beside torch, the reference: the same answers, the right one chosen, and graphs that do not belong."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from common.cli import invoke
from common.errors import ConfigError, ModelError
from common.images.datasets import load_images
from common.pair import backend as seam
from common.pair.backend import open_networks, pick_backend
from common.pair.manifest import Manifest, find_pair, read_manifest, shipped_pairs
from common.pair.shapes import EncoderShape
from sctx.encoder import ENCODERS
from sctx.pipeline import TransmitChain, networks_of
from tests.model.pairs import tiny_pair
from training.export.__main__ import main as export_command
from training.export.tracing import MOST_APART, SAME, export

NAMES = ("encoder",)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A pair with its graphs."""
    pair = tiny_pair(tmp_path_factory.mktemp("pair"))
    export(pair)
    return pair


@pytest.fixture
def copy(made: Manifest, tmp_path: Path) -> Manifest:
    """A copy of it, to be spoilt."""
    shutil.copytree(made.path, tmp_path / "copy")
    return read_manifest(tmp_path / "copy")


def pictures(pair: Manifest, count: int) -> np.ndarray:
    """uint8 [count, H, W, C]: digits, or stripes and noise of every strength."""
    image = pair.preprocess
    if (image.height, image.width, image.channels) == (8, 8, 1):
        return load_images("digits", "test").images[:count]
    draw, each = np.random.default_rng(3), (count, 1, 1, 1)
    waves = 127 * np.sin(np.arange(image.width)[None, None, :, None] * draw.uniform(0.05, 1.5, each))
    grain = draw.uniform(0, 60, each) * draw.standard_normal((count, image.height, image.width, image.channels))
    return (128 + waves + grain).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", shipped_pairs())
def test_both_backends_say_the_same_of_every_shipped_pair(name: str) -> None:
    pair = find_pair(name)
    torch, onnx = (TransmitChain(pair, backend=one) for one in ("torch", "onnx"))
    images = pictures(pair, 24)
    wanted, found = torch.encode(images), onnx.encode(images)
    assert np.array_equal(found[:, 0], wanted[:, 0])
    assert found == pytest.approx(wanted, rel=MOST_APART, abs=MOST_APART)
    for words in (None, 0, 3):
        other = np.abs(torch.modulate(wanted, words=words) - onnx.modulate(found, words=words)) > SAME
        assert other.mean() < 0.01  # one level that goes the other way rescales its increment


@pytest.mark.parametrize("kind", ENCODERS)
def test_both_backends_say_the_same_of_every_kind_of_encoder(kind: str, tmp_path: Path) -> None:
    pair = tiny_pair(tmp_path, shape=EncoderShape(4, 1, 1, kind))
    export(pair)
    torch, onnx = (TransmitChain(pair, backend=one).encode(pictures(pair, 8)) for one in ("torch", "onnx"))
    assert onnx == pytest.approx(torch, rel=MOST_APART, abs=MOST_APART)


def test_a_row_is_what_it_is_among_many_of_any_number(made: Manifest) -> None:
    chain, images = TransmitChain(made, backend="onnx"), pictures(made, 33)
    many = chain.encode(images)
    for rows in (1, 2, 5, 33):
        assert chain.encode(images[:rows]) == pytest.approx(many[:rows], abs=1e-5)


def test_graphs_lie_outside_the_id_and_go_when_other_weights_come(tmp_path: Path) -> None:
    pair = tiny_pair(tmp_path / "pair")
    export(pair)
    assert {path.stem for path in pair.path.glob("*.onnx")} == set(NAMES)
    assert read_manifest(pair.path).id == pair.id
    assert TransmitChain(pair, backend="auto").backend == "onnx"
    other = tiny_pair(tmp_path / "pair", seed=1)
    assert not list(other.path.glob("*.onnx"))
    assert TransmitChain(other, backend="auto").backend == "torch"


@pytest.mark.full
def test_every_shipped_pair_has_the_graphs_that_its_weights_make(tmp_path: Path) -> None:
    for name in shipped_pairs():
        folder = tmp_path / name
        shutil.copytree(find_pair(name).path, folder, ignore=shutil.ignore_patterns("*.onnx"))
        found = export(read_manifest(folder))
        assert max(found.features, found.logits) < MOST_APART
        assert [path.name for path in folder.glob("*.onnx")] == ["encoder.onnx"]


@pytest.mark.parametrize(("torch", "onnx", "graphs", "gpu"), list(product([True, False], repeat=4)))
def test_auto_takes_what_is_there(
    torch: bool, onnx: bool, graphs: bool, gpu: bool, copy: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"torch": torch, "onnxruntime": onnx}
    monkeypatch.setattr(seam, "_is_here", there.__getitem__)
    monkeypatch.setattr(seam, "_has_gpu", lambda: gpu)
    if not graphs:
        (copy.path / "encoder.onnx").unlink()
    networks = networks_of(copy)
    if not torch and not onnx:
        with pytest.raises(
            ConfigError, match=r"install ONNX Runtime by `pip install '\.\[edge\]'` .*, or torch by `pip"
        ):
            pick_backend(networks, "auto", "auto")
    else:
        runs = onnx and (not torch or graphs)
        assert pick_backend(networks, "auto", "cpu") == ("onnx" if runs else "torch")
        assert pick_backend(networks, "auto", "auto") == ("onnx" if runs and not (torch and gpu) else "torch")
        if torch:
            assert pick_backend(networks, "auto", "cuda:1") == "torch"
    for backend, here, extra in (("torch", torch, "model"), ("onnx", onnx, "edge")):
        if here:
            assert pick_backend(networks, backend, "cpu") == backend
        else:
            with pytest.raises(ConfigError, match=rf": install \S+ ?\S* by `pip install '\.\[{extra}\]'` in"):
                pick_backend(networks, backend, "cpu")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "tpu", ""])
def test_onnx_is_for_the_cpu_and_says_so(device: str, made: Manifest) -> None:
    with pytest.raises(ConfigError, match=r"^device .*: the backend onnx runs on the CPU; give cpu, or the backend to"):
        open_networks(networks_of(made), "onnx", device)


def without(path: Path, other: Path) -> None:
    path.unlink()


def empty(path: Path, other: Path) -> None:
    path.write_bytes(b"")


def noise(path: Path, other: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def cut(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def folder(path: Path, other: Path) -> None:
    path.unlink()
    path.mkdir()


def of_other_weights(path: Path, other: Path) -> None:
    shutil.copy(other / path.name, path)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another pair with graphs."""
    pair = tiny_pair(tmp_path_factory.mktemp("other"), seed=5)
    export(pair)
    return pair.path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spoil", [without, empty, noise, cut, folder, of_other_weights])
def test_a_graph_that_does_not_belong_is_one_line_with_what_mends_it(
    name: str, spoil: Callable[[Path, Path], None], copy: Manifest, other: Path
) -> None:
    spoil(copy.path / f"{name}.onnx", other)
    networks = networks_of(copy)
    with pytest.raises(ModelError) as caught:
        open_networks(networks, "onnx")
    told = str(caught.value)
    assert told.startswith(f"{copy.path}/{name}.onnx ")
    assert f"`python -m training.export --pair {copy.path}` makes it, after `pip install '.[export]'`" in told
    assert "\n" not in told


def test_what_the_line_says_mends_it(copy: Manifest) -> None:
    noise(copy.path / "encoder.onnx", copy.path)
    with pytest.raises(SystemExit) as ended:
        invoke(export_command, "TRAINING_EXPORT", ["--pair", str(copy.path)])
    assert ended.value.code == 0
    assert TransmitChain(copy, backend="onnx").backend == "onnx"


def test_a_graph_of_the_same_weights_under_another_preprocessing_is_refused(copy: Manifest) -> None:
    file = copy.path / "manifest.json"
    file.write_text(file.read_text().replace("0.4", "0.41"))
    changed = read_manifest(copy.path)
    assert changed.preprocess != copy.preprocess
    with pytest.raises(ModelError, match="was made of other weights or for other images than those of this pair"):
        TransmitChain(changed, backend="onnx")


def test_nothing_is_kept_or_reported_of_its_use(made: Manifest, tmp_path: Path) -> None:
    """ONNX Runtime itself writes a number of this machine and a queue of reports below the user's cache."""
    code = "import sys; from common.pair.manifest import find_pair; from sctx.pipeline import TransmitChain; "
    code += "TransmitChain(find_pair(sys.argv[1]), backend='onnx')"
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    around = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | places
    subprocess.run([sys.executable, "-c", code, str(made.path)], env=around, check=True, timeout=60)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
