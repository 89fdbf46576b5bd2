"""What a number is kept under: any change of the code that it depends on is seen."""

import shutil
from pathlib import Path

import pytest

from training.report import measured_on
from training.report.measured_on import CODE, COMPUTES, ROOT, code_sha256, files_sha256


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code on which numbers depend, in a folder of its own."""
    here = code_sha256()
    for room in (ROOT / one for one in COMPUTES):
        for path in [room] if room.is_file() else (one for one in room.rglob("*") if one.suffix in CODE):
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    monkeypatch.setattr(measured_on, "ROOT", tmp_path)
    assert code_sha256() == here
    return tmp_path


def test_a_change_in_any_room_or_table_is_seen(copied: Path) -> None:
    seen = {code_sha256()}
    tables = ["common/channel/spec/profiles.csv", "training/baselines/shipped/words.safetensors"]
    for one in (*COMPUTES, *tables):
        assert (ROOT / one).exists()
        path = copied / one if (copied / one).is_file() else min((copied / one).rglob("*.py"))
        with path.open("ab") as file:
            file.write(b"\n")
        seen.add(code_sha256())
    assert len(seen) == 1 + len(COMPUTES) + len(tables)
    before = code_sha256("training/suites")
    (copied / "training/suites").mkdir()
    (copied / "training/suites/new.py").write_text("")
    assert code_sha256("training/suites") != before
    assert code_sha256() in seen


def test_what_is_no_code_and_what_is_not_there_changes_nothing(copied: Path) -> None:
    before = code_sha256()
    (copied / "common" / "README.md").write_text("words")
    assert code_sha256("training/nowhere") == before
    assert files_sha256(copied / "nowhere") == files_sha256()


def test_files_have_one_hash_whatever_the_order(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("a")
    b.write_text("b")
    assert files_sha256(a, b) == files_sha256(b, a) == files_sha256(tmp_path)
