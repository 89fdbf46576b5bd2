"""A pair on disk: identity, refusal of what is damaged, crash-safe writing."""

import json
from contextlib import suppress
from pathlib import Path

import pytest

from common.errors import ConfigError, ModelError
from common.files import write_atomic
from common.pair.manifest import Manifest, canonical, find_pair, read_manifest, shipped_pairs, write_pair
from common.pair.tensors import load_half
from tests.model.pairs import tiny_pair


@pytest.fixture
def pair(tmp_path: Path) -> Manifest:
    return tiny_pair(tmp_path / "pair")


def test_reading_gives_what_writing_returned(pair: Manifest) -> None:
    assert find_pair(pair.path) == pair


def test_id_is_a_function_of_content_not_of_place(pair: Manifest, tmp_path: Path) -> None:
    assert tiny_pair(tmp_path / "elsewhere").id == pair.id
    assert tiny_pair(tmp_path / "other", seed=1).id != pair.id


def test_every_field_of_the_manifest_moves_the_id(pair: Manifest) -> None:
    document = json.loads((pair.path / "manifest.json").read_text())
    document["labels"] = [*document["labels"][:-1], "another"]
    (pair.path / "manifest.json").write_text(json.dumps(document))
    assert read_manifest(pair.path).id != pair.id


def test_a_flipped_bit_in_a_weight_file_is_refused(pair: Manifest) -> None:
    path = pair.path / "decoder.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelError, match=r"decoder\.safetensors.*SHA-256"):
        load_half(pair, "decoder")
    load_half(pair, "encoder")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"schema": 2}', "fields missing"),
        ('{"schema": 99}', "another schema"),
    ],
)
def test_a_broken_manifest_is_one_line(pair: Manifest, text: str, reason: str) -> None:
    (pair.path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=reason) as caught:
        read_manifest(pair.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words", [{}, [], 0, "", {"snr_db": [0.0, 1.0], "right": [[0.0, 1.0]]}, {"snr_db": [], "right": []}]
)
def test_a_damaged_table_of_words_is_one_line(pair: Manifest, words: object) -> None:
    document = json.loads((pair.path / "manifest.json").read_text())
    (pair.path / "manifest.json").write_text(json.dumps({**document, "words": words}))
    with pytest.raises(ModelError) as caught:
        read_manifest(pair.path)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="digits"):
        find_pair("no-such-pair")


def test_a_crash_before_the_manifest_leaves_no_pair(pair: Manifest) -> None:
    (pair.path / "manifest.json").unlink()
    with pytest.raises(ConfigError, match="no model pair"):
        find_pair(pair.path)


def test_no_temporary_file_stays(pair: Manifest) -> None:
    assert sorted(path.name for path in pair.path.iterdir()) == [
        "decoder.safetensors",
        "encoder.safetensors",
        "manifest.json",
    ]


@pytest.mark.parametrize("writes", range(4))
def test_a_write_that_is_cut_short_leaves_the_old_pair_whole(
    writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `kill -9` would, after so many files of the new one; what it leaves is gone after the next write."""
    old, new, written = tiny_pair(tmp_path / "old"), tiny_pair(tmp_path / "new", seed=1), list[str]()

    def write(path: Path, raw: bytes) -> None:
        if len(written) == writes:
            path.with_name(f".{path.name}.77.tmp").write_bytes(raw[:9])
            raise KeyboardInterrupt
        write_atomic(path, raw)
        written.append(path.name)

    monkeypatch.setattr("common.pair.manifest.write_atomic", write)
    with suppress(KeyboardInterrupt):
        tiny_pair(old.path, seed=1)
    found = find_pair(old.path)
    assert found.id == (old.id if writes < 3 else new.id)
    assert load_half(found, "encoder")
    assert load_half(found, "decoder")
    monkeypatch.undo()
    assert tiny_pair(old.path, seed=1).id == new.id
    assert sorted(path.name for path in old.path.iterdir()) == sorted(path.name for path in new.path.iterdir())


@pytest.mark.parametrize("moves", range(4))
def test_a_pair_that_was_cut_short_in_the_place_of_another_is_found_whole(
    moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, moved, real = tiny_pair(tmp_path / "old"), tiny_pair(tmp_path / "new", seed=1), list[Path](), Path.replace

    def replace(path: Path, target: Path) -> Path:
        if len(moved) == moves and path.parent.name == ".new.tmp" and not path.name.startswith("."):
            raise KeyboardInterrupt
        moved.extend([target] * (target.parent == old.path))
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with suppress(KeyboardInterrupt):
        tiny_pair(old.path, seed=1)
    monkeypatch.undo()
    assert len(moved) == min(moves, 3)
    found = find_pair(old.path)
    assert found.id == new.id
    assert load_half(found, "encoder")
    assert load_half(found, "decoder")
    assert sorted(path.name for path in old.path.iterdir()) == sorted(path.name for path in new.path.iterdir())


def test_canonical_bytes_do_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": [1.5, "é"]}) == canonical({"a": [1.5, "é"], "b": 1})


def test_an_impossible_document_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="fields missing or unknown"):
        write_pair(tmp_path / "pair", {"name": "x"}, b"", b"")
    assert not list((tmp_path / "pair").glob("*"))


@pytest.mark.parametrize("name", shipped_pairs())
def test_shipped_pairs_are_whole_and_small(name: str) -> None:
    manifest = find_pair(name)
    sizes = [(manifest.path / f"{half}.safetensors").stat().st_size for half in ("encoder", "decoder")]
    assert sum(sizes) < (2_000_000 if name == "digits" else 4_000_000)
    for half in ("encoder", "decoder"):
        assert load_half(manifest, half)
    assert {"command", "seed", "torch"} <= set(manifest.provenance)


def test_a_pair_of_before_words_and_features_is_refused_by_the_command_that_mends_it(pair: Manifest) -> None:
    document = json.loads((pair.path / "manifest.json").read_text())
    (pair.path / "manifest.json").write_text(json.dumps({**document, "schema": 1}))
    with pytest.raises(ModelError, match=f"python -m training.convert --pair {pair.path} --dataset DATA --out NEW"):
        read_manifest(pair.path)
