"""Where a pair's pictures lie is known for pairs that were trained here, and a pair never chooses it."""

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from common.errors import ConfigError
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of, recall, remember
from sctx.cli import _source

ID = "ab" * 32
DIGITS = find_pair("digits")
FOREIGN = replace(DIGITS, id=ID, name="theirs")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_what_was_trained_here_is_known_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    note = remember(ID, "photos")
    assert note is not None
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(note.parent.stat().st_mode) == 0o700
    monkeypatch.chdir("/")
    assert recall(ID) == str(tmp_path / "photos")
    assert dataset_of(replace(FOREIGN, dataset="photos")) == str(tmp_path / "photos")
    remember(ID, "owner/name")
    assert recall(ID) == "owner/name"


@pytest.mark.parametrize(
    "place", ["/home/me/private", "private", "../private", "~/private", "owner/name", "", "cifar10"]
)
def test_a_pair_from_somebody_else_names_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    (tmp_path / "private" / "test" / "0").mkdir(parents=True)
    (tmp_path / "cifar10").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    pair = replace(FOREIGN, dataset=place)
    with pytest.raises(ConfigError, match="give --dataset"):
        dataset_of(pair)
    with pytest.raises(ConfigError, match="give --source"):
        _source(None, pair)


def test_what_comes_with_the_project_needs_no_note() -> None:
    assert dataset_of(FOREIGN) == "digits"
    assert _source(None, DIGITS).size == 360


@pytest.mark.parametrize(("splits", "found"), [(("train", "test"), 10), (("train",), 4), (("train", "val"), 10)])
def test_what_was_held_out_is_sent(tmp_path: Path, splits: tuple[str, ...], found: int) -> None:
    """Of 40 pictures to train on, a tenth is held out where there is neither test nor validation."""
    for split in splits:
        for label in range(10):
            (tmp_path / "mine" / split / str(label)).mkdir(parents=True)
            for k in range(4 if split == "train" else 1):
                Image.new("L", (8, 8), 20 * label + k).save(tmp_path / "mine" / split / str(label) / f"{k}.png")
    remember(ID, str(tmp_path / "mine"))
    assert _source(None, replace(FOREIGN, dataset="mine")).size == found


def test_another_users_note_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(ID, str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert recall(ID) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"dataset": 3}', '{"dataset": ""}', "[" * 50_000, "\xff", "null"])
def test_a_damaged_note_is_no_note(text: str) -> None:
    note = remember(ID, "owner/name")
    assert note is not None
    note.write_bytes(text.encode("latin-1"))
    assert recall(ID) is None


@pytest.mark.parametrize("strange", ["../" + "a" * 61, "/etc/passwd", "a/b", ""])
def test_an_id_is_no_path(strange: str, state: Path) -> None:
    (state / "semlink" / "pairs").mkdir(parents=True)
    assert recall(strange) is None


def test_without_a_home_nothing_is_noted_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME", raising=False)

    def nobody(path: str) -> str:
        return path

    monkeypatch.setattr(os.path, "expanduser", nobody)
    assert remember(ID, "owner/name") is None
    assert recall(ID) is None


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_state_folder_that_cannot_be_written_breaks_nothing(state: Path, kind: str) -> None:
    if kind == "file":
        state.write_text("")
    else:
        os.environ["XDG_STATE_HOME"] = "/proc"
    assert remember(ID, "owner/name") is None
    assert recall(ID) is None


def test_a_note_does_not_follow_a_link(state: Path, tmp_path: Path) -> None:
    note = remember(ID, "owner/name")
    assert note is not None
    (tmp_path / "precious").write_text("mine")
    note.unlink()
    note.symlink_to(tmp_path / "precious")
    remember(ID, "owner/other")
    assert (tmp_path / "precious").read_text() == "mine"
    assert json.loads(note.read_text()) == {"dataset": "owner/other"}
