"""Data sets of the Hub, whose library is asked for rows only; here it reads local files in the Hub's place."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, DataError
from common.images.datasets import load_images
from common.pair.manifest import find_pair
from sctx.capture.source import Source
from tests.images.makers import cells, class_label, write_table

datasets = pytest.importorskip("datasets", reason="the `datasets` library is not installed")
PAIR = find_pair("cifar10")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files SPLIT.parquet are the splits of every data set on the Hub."""
    import huggingface_hub

    real = datasets.load_dataset

    def load(spec: str, split: str, streaming: bool) -> Any:
        files = {split: [str(tmp_path / f"{split}.parquet")]}
        return real("parquet", data_files=files, split=split, streaming=streaming)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda spec: [one.stem for one in tmp_path.iterdir()])
    monkeypatch.setattr(datasets, "load_dataset", load)
    return tmp_path


def test_rows_of_the_hub_are_read_like_those_of_files(hub: Path) -> None:
    write_table(hub / "train.parquet", {"img": cells(range(100)), "label": [k % 2 for k in range(100)]},
                class_label(["dog", "cat"]), row_group_size=30)  # fmt: skip
    write_table(hub / "valid.parquet", {"img": cells([7, 8]), "label": ["cat", "dog"]})
    write_table(hub / "test.parquet", {"img": cells([7, 8, 9]), "label": [1, -1, 0]}, class_label(["cat", "dog"]))
    train, validation = (load_images("owner/set", split) for split in ("train", "validation"))
    assert train.images[:, 0, 0, 0].tolist() == list(range(100))
    assert train.classes == validation.classes == ("dog", "cat")
    assert validation.labels.tolist() == [1, 0]
    assert validation.notes == ("valid is taken as the validation split",)
    source = Source("dataset:owner/set:test", PAIR)
    assert [c.label for c in source.captures()] == [PAIR.labels.index("dog"), None, PAIR.labels.index("cat")]
    with pytest.raises(DataError, match=r"1 of the images.*the test split of 'owner/set' row 1 \(without a label\)"):
        load_images("owner/set", "test")


def test_without_the_library_or_the_network_it_is_one_line(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(spec: str) -> list[str]:
        raise OSError("no\nroute")

    monkeypatch.setattr(datasets, "get_dataset_split_names", unreachable)
    with pytest.raises(ConfigError, match=r"cannot reach data set 'owner/set' on the Hub \(no route\); without"):
        load_images("owner/set", "test")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ConfigError, match="need the `datasets` library"):
        load_images("owner/set", "test")
