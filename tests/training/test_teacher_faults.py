"""A folder that is no teacher, or a broken one, ends in one line that names file and remedy; nothing of it is run."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError, ModelError
from tests.training.kinds import make, tokenizer
from training.teachers.find import find_teacher

tf = pytest.importorskip("transformers", reason="transformers is not installed")
NAMES = ("cat", "dog", "emu")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 346293852\n"
PICKLE = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."


def configured(**changes: Any) -> Callable[[Path], None]:
    """Change keys of config.json; None takes one away."""

    def change(folder: Path) -> None:
        document = {**json.loads((folder / "config.json").read_text()), **changes}
        kept = {key: value for key, value in document.items() if value is not None}
        (folder / "config.json").write_text(json.dumps(kept))

    return change


def processed(**changes: Any) -> Callable[[Path], None]:
    """Change keys of preprocessor_config.json."""

    def change(folder: Path) -> None:
        path = folder / "preprocessor_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def holds(name: str, raw: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(raw) and None


def cut(name: str, keep: float) -> Callable[[Path], None]:
    """Keep the first part of a file."""

    def change(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(keep * len(raw))])

    return change


def without(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(PICKLE)


def sharded(folder: Path) -> None:
    tf.AutoModelForImageClassification.from_pretrained(folder).save_pretrained(folder, max_shard_size="8KB")
    (folder / "model.safetensors").unlink(missing_ok=True)


def one_shard_less(folder: Path) -> None:
    sharded(folder)
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def shard_elsewhere(folder: Path) -> None:
    sharded(folder)
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"] = dict.fromkeys(document["weight_map"], "../outside.safetensors")
    index.write_text(json.dumps(document))


def in_8_bits(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.weight"] = (30 * weights["classifier.weight"]).to(torch.int8)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def saved(model: str, config: str, **own: Any) -> Callable[[Path], None]:
    """Another network of `transformers` in the folder."""
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return lambda folder: getattr(tf, model)(getattr(tf, config)(**{**tiny, **own})).save_pretrained(folder)


PATCHES = {"image_size": 32, "patch_size": 8}
LABELS = {0: "cat", 1: "dog", 2: "emu"}
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "config cut": (cut("config.json", 0.6), r"config\.json is damaged"),
    "config empty": (holds("config.json", b""), r"config\.json is damaged"),
    "config not UTF-8": (holds("config.json", b"\xff\xfe{"), r"config\.json is damaged"),
    "config a list": (holds("config.json", b"[]"), r"config\.json is damaged.*list"),
    "config deep": (holds("config.json", DEEP), r"config\.json is damaged"),
    "config with NaN": (holds("config.json", b'{"hidden_size": NaN}'), "no JSON number"),
    "config a pointer": (holds("config.json", POINTER), r"config\.json is a Git-LFS pointer.*git lfs pull"),
    "config missing": (without("config.json"), r"no config\.json"),
    "weights a pointer": (holds("model.safetensors", POINTER), r"model\.safetensors is a Git-LFS pointer"),
    "weights cut": (cut("model.safetensors", 0.7), r"model\.safetensors is damaged.*copy it again"),
    "weights garbage": (holds("model.safetensors", b"\x07" * 5000), r"model\.safetensors is damaged"),
    "weights empty": (holds("model.safetensors", b""), r"model\.safetensors is damaged"),
    "weights missing": (without("model.safetensors"), "holds no"),
    "weights under another name": (lambda folder: (folder / "model.safetensors").rename(folder / "net.safetensors"),
                                   r"net\.safetensors and no model\.safetensors"),
    "weights a pickle": (pickled, r"pytorch_model\.bin.*save_pretrained"),
    "a shard missing": (one_shard_less, r"lacks model-00002"),
    "a shard outside": (shard_elsewhere, "files of this folder"),
    "processor missing": (without("preprocessor_config.json"), "no image processor.*copy it"),
    "processor a pointer": (holds("preprocessor_config.json", POINTER), "Git-LFS pointer"),
    "processor cut": (cut("preprocessor_config.json", 0.5), r"preprocessor_config\.json is damaged"),
    "processor unknown": (processed(image_processor_type="NoImageProcessor"), "cannot make the image processor"),
    "processor of another size": (processed(size={"height": 48, "width": 48}), "cannot answer.*of one teacher"),
    "processor without size": (processed(size=None), "cannot"),
    "processor with a size that is none": (processed(size={"height": -32, "width": 32}), "sides are numbers"),
    "processor with a size of terabytes": (processed(size={"height": 10**6, "width": 10**6}), "sides are numbers"),
    "processor with two means": (processed(image_mean=[0.5, 0.5]), "cannot answer"),
    "an adapter": (holds("adapter_config.json", b"{}"), "adapter.*merge"),
    "timm": (holds("config.json", b'{"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": {}}'), "of timm"),
    "timm in the wrapper of transformers": (configured(model_type="timm_wrapper", architecture="resnet18",
                                            architectures=["TimmWrapperForImageClassification"]), "of timm"),
    "quantised by a known method": (configured(quantization_config={"quant_method": "bitsandbytes"}), "quantised"),
    "quantised by an unknown method": (configured(quantization_config={"quant_method": "mine"}), "quantised"),
    "weights in 8 bits": (in_8_bits, r"classifier\.weight is of type I8.*quantised"),
    "an unknown type": (configured(model_type="vit-next"), "cannot use.*another version"),
    "code of its own": (configured(model_type="mine", auto_map={"AutoConfig": "mine.Config"}), "code of its own"),
    "no architecture": (configured(architectures=None), "names no architecture"),
    "architectures of another type": (configured(architectures="ViT"), "names no architecture"),
    "another architecture than the type's": (configured(architectures=["SwinForImageClassification"]),
                                             "save the teacher again"),
    "a backbone": (saved("ViTModel", "ViTConfig", **PATCHES), "ViTModel has no head"),
    "another backbone": (saved("Dinov2Model", "Dinov2Config", **PATCHES), "Dinov2Model has no head"),
    "a vision tower": (saved("CLIPVisionModelWithProjection", "CLIPVisionConfig", **PATCHES), "has no head"),
    "a text model": (saved("BertForSequenceClassification", "BertConfig", vocab_size=30), "has no head"),
    "a text tower": (saved("CLIPTextModel", "CLIPTextConfig", vocab_size=30), "has no head"),
    "a segmenter": (saved("BeitForSemanticSegmentation", "BeitConfig", image_size=32, patch_size=8, num_hidden_layers=4,
                          out_indices=[1, 2, 3, 4]), "has no head"),
    "a detector": (saved("YolosForObjectDetection", "YolosConfig", image_size=[32, 32], patch_size=8), "has no head"),
    "a backbone that calls itself a classifier": (
        lambda folder: (saved("ViTModel", "ViTConfig", **PATCHES)(folder),
                        configured(architectures=["ViTForImageClassification"], id2label=LABELS)(folder)),
        r"would be random: classifier\.bias, classifier\.weight"),
    "fewer layers than weights": (configured(num_hidden_layers=0), "no place for weights"),
    "more layers than weights": (configured(num_hidden_layers=2), "would be random"),
    "another width": (configured(intermediate_size=32), r"in the file and \[.*\] by config\.json"),
    "another number of classes": (configured(id2label={0: "cat", 1: "dog"}, label2id=None), "emu|cat|in the file"),
    "a width of 10^9": (configured(hidden_size=10**9), "hidden_size = 1000000000 cannot be true"),
    "a width that would still be built": (configured(hidden_size=2**21), "describes a network of"),
    "10^9 layers": (configured(num_hidden_layers=10**9), "num_hidden_layers = 1000000000 cannot be true"),
    "several labels at a time": (configured(problem_type="multi_label_classification"), "one label.*multi_label"),
    "a number and no label": (configured(problem_type="regression"), "one label.*regression"),
    "channels": (configured(num_channels=7), "takes 7 channels"),
    "a width that is text": (configured(hidden_size="many"), "cannot use|cannot load"),
    "id2label with gaps": (configured(id2label={0: "cat", 2: "dog", 5: "emu"}), "must number its classes 0 to 2"),
    "id2label a list": (configured(id2label=["cat", "dog", "emu"]), "cannot use"),
}  # fmt: skip


def refused(spec: str, classes: tuple[str, ...] = NAMES) -> str:
    with pytest.raises((ConfigError, ModelError)) as caught:
        find_teacher(spec, classes).load(torch.device("cpu"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("ViT", tmp_path_factory.mktemp("teachers") / "sound", NAMES)


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in sound.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_teacher_is_one_line(fault: str, copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change, reason = BROKEN[fault]
    change(copy)
    capfd.readouterr()
    told = refused(str(copy))
    assert re.search(reason, told), told
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "change",
    [sharded, processed(size=[32, 32]), processed(size=32), configured(label2id=None),
     configured(torch_dtype="float32"), configured(auto_map={"AutoModelForImageClassification": "mine.Net"})],
)  # fmt: skip
def test_what_only_looks_broken_answers_as_before(change: Callable[[Path], None], sound: Path, copy: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    want = find_teacher(str(sound), NAMES).load(torch.device("cpu")).logits(images)
    change(copy)
    assert torch.equal(find_teacher(str(copy), NAMES).load(torch.device("cpu")).logits(images), want)


def test_counters_of_batches_may_be_lacking_and_statistics_may_not(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = make("ResNet", tmp_path / "resnet", NAMES)
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8)
    want = find_teacher(str(folder), NAMES).load(torch.device("cpu")).logits(images)
    for name in ("num_batches_tracked", "running_var"):
        weights = load_file(folder / "model.safetensors")
        kept = {key: value for key, value in weights.items() if not key.endswith(name)}
        assert len(kept) < len(weights)
        save_file(kept, folder / "model.safetensors", {"format": "pt"})
        if name == "num_batches_tracked":
            assert torch.equal(find_teacher(str(folder), NAMES).load(torch.device("cpu")).logits(images), want)
    assert "would be random" in refused(str(folder))


def test_places_that_hold_no_teacher_are_one_line(copy: Path, tmp_path: Path) -> None:
    assert "is a file: give the folder" in refused(str(copy / "config.json"))
    (tmp_path / "empty").mkdir()
    assert "no config.json" in refused(str(tmp_path / "empty"))
    assert "no config.json" in refused(str(tmp_path))
    assert "copy in it have one: give one of them" in refused(str(tmp_path))
    assert "no teacher" in refused(str(tmp_path / "nowhere"))
    assert "no teacher" in refused("./nowhere")
    assert "between two commas" in refused("")
    assert "between two commas" in refused(f"{copy},,{copy}")
    assert "between two commas" in refused("a\0b")
    assert "cannot read teacher" in refused("x" * 5000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything: run the tests as a user")
def test_a_folder_that_may_not_be_read_is_one_line(copy: Path) -> None:
    copy.chmod(0)
    try:
        assert "cannot read teacher" in refused(str(copy))
    finally:
        copy.chmod(0o700)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without("tokenizer.json", "tokenizer_config.json"), "no tokenizer.*copy"),
        (holds("tokenizer.json", POINTER), "Git-LFS"),
        (holds("tokenizer.json", b"{"), "tokenizer of .* cannot be used"),
        (configured(architectures=["CLIPTextModel"]), "has no head"),
        (
            configured(architectures=["CLIPForImageClassification"]),
            "does not know these classes|classes and the data set",
        ),
    ],
)
def test_a_broken_zero_shot_teacher_is_one_line(change: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    folder = make("CLIP", tmp_path / "clip")
    change(folder)
    assert re.search(reason, refused(str(folder)))


def test_class_names_that_a_zero_shot_teacher_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    folder = make("CLIP", tmp_path / "clip")
    assert "same tokens" in refused(str(folder), ("cat", "Cat"))
    assert "same tokens" in refused(str(folder), ("big_cat", "dog", "big cat"))
    assert "WordNet" in refused(str(folder), ("n01440764", "n01514668"))
    tf.CLIPTokenizer(vocab={"<|startoftext|>": 0, "<|endoftext|>": 1}, merges=[]).save_pretrained(folder)
    assert "same tokens" in refused(str(folder))
    tokenizer(folder)
    find_teacher(str(folder), NAMES).load(torch.device("cpu"))
