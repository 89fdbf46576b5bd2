"""`python -m training.distill` from nothing to a pair, with everything as small as it gets."""

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from common.errors import ConfigError, DataError, StoreError
from common.images.datasets import load_images
from common.pair.manifest import SHIPPED, find_pair
from sctx.pipeline import TransmitChain
from training import distill, evaluate, store, teacher
from training.loop import fit as loop
from training.words import arrivals

TINY = """
views = 2
threads = 1
[image]
height = 8
width = 8
channels = 1
[layout]
increments = [2, 4]
pilots = 4
slot = 16
[encoder]
width = 4
[view]
shift = 1
[teacher]
model_type = "vit"
size = 8
[teacher.config]
hidden_size = 16
intermediate_size = 16
num_hidden_layers = 1
num_attention_heads = 2
patch_size = 4
[teacher.schedule]
epochs = 1
[schedule]
epochs = 2
"""


class Killed(Exception):
    """Stands for kill -9."""


@pytest.fixture
def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_draws: None) -> Path:
    """A folder of its own, with tiny.toml in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["distill", "--recipe", "tiny.toml"])
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


@pytest.fixture
def here(drawn: Path, undrawn: None, untimed: None) -> Path:
    """The same, where no figure is drawn."""
    return drawn


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the whole command ran once, figures and all, and what it said."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["distill", "--recipe", "tiny.toml"])
        patch.setattr(arrivals, "DRAWS", 1000)
        (folder / "tiny.toml").write_text(TINY)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        said = call(distill, "--recipe", "tiny.toml").stderr
        torch.set_num_threads(threads)
    return folder, said


@pytest.fixture
def after(first: tuple[Path, str], here: Path) -> str:
    """The same in this test's folder: what was said."""
    shutil.copytree(first[0] / "build", here / "build")
    return first[1]


def call(module: object, *words: str) -> Result:
    """In this process; what is trained here is too small to be asked whether it has learnt anything."""
    every = [*words, *(["--force"] if module is distill else [])]
    result = CliRunner().invoke(module.main, every, obj={}, standalone_mode=False)  # type: ignore[attr-defined]
    if result.exception is not None:
        raise result.exception
    return result


def test_makes_what_is_missing_and_reuses_what_is_there(after: str) -> None:
    assert "teacher: re-using" not in after
    manifest = find_pair("build/pairs/tiny")
    assert manifest.provenance["seed"] == "0"
    assert manifest.provenance["soft_labels"].startswith("store ")
    assert (len(manifest.accuracy.acc), len(manifest.words.right)) == (2, 6)
    for figure in ("runs/tiny/accuracy.png", "runs/tiny/curve.png", "teachers/tiny.run/curve.png"):
        assert Path("build", figure).read_bytes().startswith(b"\x89PNG")
    second = call(distill, "--recipe", "tiny.toml")
    assert "teacher: re-using build/teachers/tiny" in second.stderr
    assert "store: re-using build/stores/tiny-" in second.stderr
    assert find_pair("build/pairs/tiny").id == manifest.id  # the same run gives the same pair, bit for bit
    teacher_of_seed_0 = ("--teacher", "build/teachers/tiny")
    assert call(distill, "--recipe", "tiny.toml", "--seed", "1", *teacher_of_seed_0).exit_code == 0
    assert find_pair("build/pairs/tiny").id == manifest.id
    (other,) = {*Path("build/pairs").iterdir()} - {manifest.path}
    assert find_pair(other).sha256["encoder"] != manifest.sha256["encoder"]


@pytest.mark.full  # `test_loop` kills each stage's loop
@pytest.mark.usefixtures("here")
def test_killed_between_the_stages_or_in_the_last_it_makes_the_same_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    call(distill, "--recipe", "tiny.toml")
    whole = find_pair("build/pairs/tiny").id
    epochs, begin = Counter[str](), loop._Training.epoch
    monkeypatch.setattr(loop, "CHECKPOINT_S", -1.0)

    def dying(training: Any, run: loop.Run, epoch: int) -> list[float]:
        if run.title == "student" and epoch == deaths[0]:
            deaths.pop(0)
            raise Killed
        epochs[run.title] += 1
        return begin(training, run, epoch)

    deaths = [0, 1, -1]
    monkeypatch.setattr(loop._Training, "epoch", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            call(distill, "--recipe", "tiny.toml", "--out", "killed")
    call(distill, "--recipe", "tiny.toml", "--out", "killed")
    assert find_pair("killed").id == whole
    assert epochs == {"student": 2}
    assert not list(Path("build/runs").rglob("checkpoint.safetensors"))


@pytest.mark.usefixtures("here")
def test_the_written_pair_is_the_trained_student() -> None:
    call(distill, "--recipe", "tiny.toml", "--epochs", "10", "--no-kd")
    manifest = find_pair("build/pairs/tiny")
    assert TransmitChain(manifest).encode(load_images("digits", "test").images[:4]).shape == (4, 1 + 16)
    words = ["--pair", "build/pairs/tiny", "--symbols", "6", "--snr", "30", "--seeds", "1", "--json", "out/points.json"]
    call(evaluate, *words, "--split", "validation", "--csi", "estimated", "--figure", "out/points.png")
    (point,) = json.loads(Path("out/points.json").read_text())["points"]
    with Image.open("out/points.png") as figure:
        assert figure.size[0] > 500
    assert set(point) == {
        "system", "channel", "csi", "n", "snr_db", "accuracy", "ci95", "seeds", "mean_symbols", "told", "difference",
        "words", "missed",
    }  # fmt: skip
    assert (point["n"], point["mean_symbols"], point["csi"]) == (10, 6.0, "estimated")
    assert point["ci95"][0] <= point["accuracy"] <= point["ci95"][1]
    # Training measured the same split at the same SNR with its own channel.
    at = manifest.accuracy.snr_db.index(30.0)
    assert point["accuracy"] == pytest.approx(manifest.accuracy.acc[1][at], abs=0.05)


@pytest.mark.usefixtures("after")
def test_ablations_and_a_store_without_its_teacher() -> None:
    shutil.copytree("build/teachers/tiny", "mine")
    shutil.rmtree("build")
    call(distill, "--recipe", "tiny.toml", "--teacher", "mine", "--store", "kept")
    assert find_pair("build/pairs/tiny").provenance["soft_labels"].startswith("store ")
    call(distill, "--recipe", "tiny.toml", "--teacher", "mine", "--online-teacher")
    (other,) = {*Path("build/pairs").iterdir()} - {Path("build/pairs/tiny")}
    assert find_pair(other).provenance["soft_labels"].startswith("teacher ")
    for path in Path("mine").iterdir():
        path.unlink()
    alone = call(distill, "--recipe", "tiny.toml", "--store", "kept")
    assert "no teacher is loaded" in alone.stderr
    with pytest.raises(ConfigError, match="holds 2 views, not 5"):
        call(distill, "--recipe", "tiny.toml", "--store", "kept", "--views", "5")
    with pytest.raises(ConfigError, match="kept holds answers as int8, not top2; leave out --encoding"):
        call(distill, "--recipe", "tiny.toml", "--store", "kept", "--encoding", "top2")


@pytest.mark.usefixtures("after")
def test_a_store_made_for_other_views_is_refused(here: Path) -> None:
    (kept,) = (here / "build" / "stores").iterdir()
    shutil.copytree(kept, "kept")
    (here / "other.toml").write_text(TINY.replace("shift = 1", "shift = 2"))
    with pytest.raises(StoreError, match=r"was made for view\.shift = 1, not 2"):
        call(distill, "--recipe", "other.toml", "--store", "kept", "--teacher", "build/teachers/tiny")
    with pytest.raises(StoreError, match="was made for views"):
        call(distill, "--recipe", "other.toml", "--store", "kept")


@pytest.mark.usefixtures("here")
def test_the_store_command_builds_parts_merges_and_verifies() -> None:
    call(teacher, "--recipe", "tiny.toml", "--out", "mine")
    common = ("--dataset", "digits", "--teacher", "mine", "--recipe", "tiny.toml")
    call(store, "build", "whole", *common, "--views", "3")
    call(store, "build", "a", *common, "--views", "1")
    call(store, "build", "b", *common, "--views", "3", "--first", "1")
    merged = call(store, "merge", "merged", "a", "b")
    assert "3 (0, 1, 2)" in merged.stdout
    names = sorted(path.relative_to("whole") for path in Path("whole").rglob("*") if path.is_file())
    assert all((Path("merged") / name).read_bytes() == (Path("whole") / name).read_bytes() for name in names)
    assert "12 bytes" in call(store, "info", "merged").stdout
    assert "merged/README.md" in call(store, "card", "merged").stdout
    card = Path("merged/README.md").read_text()
    assert "| encoding | int8, 12 bytes per image and view |" in card
    assert "1137 images, 10 classes" in card
    checked = call(store, "verify", "merged", "--dataset", "digits", "--recipe", "tiny.toml", "--teacher", "mine")
    assert "same top class 100.0 %" in checked.stdout
    call(store, "build", "other", *common, "--views", "1", "--encoding", "top3")
    with pytest.raises(StoreError, match="encoding"):
        call(store, "merge", "mixed", "a", "other")


def test_a_folder_of_photographs_is_a_data_set(here: Path) -> None:
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 3)):
        for name in ("cat", "dog", "emu"):
            (here / "photos" / split / name).mkdir(parents=True)
            for k in range(count):
                pixels = random.integers(0, 256, (20 + k, 31, 3), np.uint8)
                Image.fromarray(pixels).save(here / "photos" / split / name / f"{k}.jpg")
    call(distill, "--recipe", "tiny.toml", "--dataset", "photos")
    manifest = find_pair("build/pairs/tiny")
    assert (manifest.dataset, manifest.labels) == ("photos", ("cat", "dog", "emu"))
    call(evaluate, "--pair", "build/pairs/tiny", "--dataset", "photos", "--snr", "0", "--symbols", "2")
    with pytest.raises(DataError, match="does not know: 0, 1, 2"):
        call(evaluate, "--pair", "build/pairs/tiny", "--dataset", "digits")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--out", str(SHIPPED / "digits")), "shipped"),
        (("--recipe", "nothing"), "no recipe"),
        (("--dataset", "nothing"), "unknown data set"),
        (("--recipe", "tiny.toml", "--views", "0"), "--views"),
        (("--recipe", "tiny.toml", "--epochs", "0"), "epochs"),
        (("--recipe", "tiny.toml", "--encoding", "int3"), "unknown encoding"),
        (("--recipe", "tiny.toml", "--device", "abacus"), "device abacus cannot be used"),
        (("--recipe", "tiny.toml", "--teacher", "./nowhere"), "no teacher"),
    ],
)
def test_wrong_use_is_one_line(words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        call(distill, *words)
    assert "\n" not in str(caught.value)
    assert not Path("build/pairs").exists()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ("[encoder]\ndepth = 3", "unknown key 'encoder.depth'"),
        ("[layout]\nincrements = [200]", "air slot"),
        ("[layout]\nincrements = [2]\norder = 5", "layout.order"),
        ("views = [", "not TOML"),
    ],
)
def test_a_wrong_recipe_names_the_key(here: Path, line: str, reason: str) -> None:
    text = line if "layout" in line or "views" in line else f"{line}\n[layout]\nincrements = [2]"
    (here / "wrong.toml").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        call(distill, "--recipe", "wrong.toml")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--symbols", "17"), "not a rate"),
        (("--symbols", "many"), "give numbers"),
        (("--snr", "abc"), "give numbers"),
        (("--snr", "nan"), "--snr"),
        (("--channel", "tunnel"), "--channel tunnel"),
        (("--channel", "awgn", "--csi", "perfect"), "does not go with"),
        (("--channel", "rayleigh", "--csi", "known"), "does not go with"),
        (("--csi", "some"), "--csi some"),
        (("--seeds", "0"), "--seeds"),
        (("--pair", "nothing"), "no model pair"),
    ],
)
def test_wrong_use_of_evaluate_is_one_line(words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        call(evaluate, *words)


def test_no_command_of_training_imports_torch_for_its_help() -> None:
    import subprocess

    for module in ("distill", "teacher", "store", "evaluate"):
        code = f"import sys, training.{module}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0, module
    assert torch.get_num_threads() == 1
