"""Where images come from: data sets, folders, files, a stream of pictures."""

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from common.pair.manifest import find_pair
from sctx.capture.source import Capture, Source
from sctx.capture.stdin import Pictures

MANIFEST = find_pair("digits")


def jpeg(value: int, size: tuple[int, int] = (20, 10), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (value, value, value)).convert(mode).save(out, "JPEG")
    return out.getvalue()


def test_a_data_set_comes_with_labels_and_goes_round_again() -> None:
    source = Source("dataset:digits:test", MANIFEST)
    assert source.size == 360
    captures = list(source.captures(361))
    assert captures[0].image.shape == (8, 8, 1)
    assert captures[360].index == 360
    assert np.array_equal(captures[360].image, captures[0].image)
    assert {c.label for c in captures} == set(range(10))
    assert len(list(source.captures())) == 360


def test_the_labels_of_a_data_set_are_those_of_the_pair(tmp_path: Path) -> None:
    for name in ("5", "7", "unknown"):
        (tmp_path / "test" / name).mkdir(parents=True)
        (tmp_path / "test" / name / "a.jpg").write_bytes(jpeg(1))
    assert [c.label for c in Source(f"dataset:{tmp_path}:test", MANIFEST).captures()] == [5, 7, None]


def test_a_folder_is_read_in_order_with_labels_from_class_folders(tmp_path: Path) -> None:
    for folder, value in (("3", 30), ("7", 70), ("unknown", 90)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jpg").write_bytes(jpeg(value))
    (tmp_path / "notes.txt").write_text("not a picture")
    captures = list(Source(str(tmp_path), MANIFEST).captures())
    assert [c.label for c in captures] == [3, 7, None]
    assert [c.image.shape for c in captures] == [(10, 20, 3)] * 3


def test_one_picture_is_a_source(tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    Image.new("RGBA", (5, 6), (1, 2, 3, 255)).save(file)
    (capture,) = Source(str(file), MANIFEST).captures()
    assert (capture.image.shape, capture.label) == ((6, 5, 3), None)


def test_a_parquet_file_is_a_source(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    rows = {"img": [{"bytes": jpeg(v), "path": None} for v in (1, 2)], "label": [4, 5]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "set.parquet")
    captures = list(Source(str(tmp_path / "set.parquet"), MANIFEST).captures())
    assert [(c.image.shape, c.label) for c in captures] == [((10, 20, 3), 4), ((10, 20, 3), 5)]


def test_labels_by_name_are_looked_up_and_rows_without_a_picture_are_named(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    rows = {"image": [{"bytes": jpeg(1), "path": None}] * 2, "label": ["7", "heron"]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "named.parquet")
    assert [c.label for c in Source(str(tmp_path / "named.parquet"), MANIFEST).captures()] == [7, None]
    parquet.write_table(pyarrow.table({"img": ["text"]}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="column `img` is string from row 0"):
        Source(str(tmp_path / "bad.parquet"), MANIFEST)
    parquet.write_table(pyarrow.table({"img": pyarrow.array([None], pyarrow.binary())}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match=r"bad\.parquet row 0: it is empty"):
        list(Source(str(tmp_path / "bad.parquet"), MANIFEST).captures())


def test_a_broken_parquet_file_and_one_without_images_are_named(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow import parquet

    broken, empty = tmp_path / "broken.parquet", tmp_path / "empty.parquet"
    broken.write_bytes(b"PAR1 no")
    parquet.write_table(pyarrow.table({"x": [1]}), empty)
    for file, words in ((broken, "cannot read .*broken.parquet"), (empty, "no column `img`")):
        with pytest.raises(DataError, match=words):
            Source(str(file), MANIFEST)


def camera(raw: bytes) -> Source:
    return Source("-", MANIFEST, io.BytesIO(raw).read)


def test_pictures_on_standard_input_are_cut_at_their_markers() -> None:
    source = camera(b"noise" + jpeg(10) + b"between" + jpeg(20, (8, 4)) + jpeg(30)[:-40])
    assert source.size is None
    assert [(c.index, c.image.shape) for c in source.captures()] == [(0, (10, 20, 3)), (1, (4, 8, 3))]
    assert len(list(camera(jpeg(1) * 3).captures(2))) == 2


def test_a_thumbnail_inside_a_picture_is_not_its_end() -> None:
    exif = b"Exif\x00\x00" + jpeg(99)
    whole = jpeg(10)
    photo = whole[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + whole[2:]
    assert [c.image.shape for c in camera(photo + photo).captures()] == [(10, 20, 3)] * 2


def test_progressive_pictures_with_several_scans_are_whole() -> None:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", progressive=True, quality=95)
    assert list(Pictures(io.BytesIO(out.getvalue() * 2).read)) == [out.getvalue()] * 2


def test_a_damaged_picture_of_a_camera_is_passed_over() -> None:
    damaged = jpeg(5)
    damaged = damaged[:20] + bytes(len(damaged) - 40) + damaged[-20:]
    shapes = [c.image.shape for c in camera(damaged + jpeg(7) + jpeg(8)).captures()]
    assert shapes[-1] == (10, 20, 3)
    assert 1 <= len(shapes) <= 2


def test_an_empty_folder_and_a_missing_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image"):
        Source(str(tmp_path), MANIFEST)
    with pytest.raises(ConfigError, match="not found"):
        Source(str(tmp_path / "nowhere"), MANIFEST)


def test_a_folder_that_is_named_like_a_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / "album.jpg").mkdir()
    (tmp_path / "album.jpg" / "a.png").write_bytes(jpeg(1))
    assert [c.index for c in Source(str(tmp_path), MANIFEST).captures()] == [0]


@pytest.mark.parametrize("stream", [b"", b"no picture", jpeg(5)[:60] + jpeg(5)[-2:]])
def test_a_camera_that_gives_no_picture_is_told(stream: bytes) -> None:
    with pytest.raises(DataError, match="source -: standard input ended"):
        list(camera(stream).captures())


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(ConfigError, match="~nobody-of-this-name/x: there is no such user"):
        Source("~nobody-of-this-name/x", MANIFEST)
    with pytest.raises(ConfigError, match="no such user"):
        find_pair("~nobody-of-this-name/x")


def test_a_photo_that_cannot_be_read_is_named_where_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(jpeg(5)[:100])
    with pytest.raises(DataError, match=r"bad\.jpg"):
        list(Source(str(tmp_path), MANIFEST).captures())


def test_among_others_it_is_told_counted_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, picture in (("a.jpg", jpeg(1)), ("b.jpg", b"words"), ("c.jpg", jpeg(2))):
        (tmp_path / name).write_bytes(picture)
    source = Source(str(tmp_path), MANIFEST)
    captures = list(source.captures(5))  # a, b, c, a, b
    assert [(c.index, Path(c.file or "").name) for c in captures] == [(0, "a.jpg"), (2, "c.jpg"), (3, "a.jpg")]
    assert source.unreadable == 2
    assert "b.jpg" in str(caplog.records[0].__dict__["why"])


def test_the_file_of_a_picture_is_its_path_whatever_is_in_its_name(tmp_path: Path) -> None:
    names = [
        b"line\nend.jpg",
        rb"line\nend.jpg",
        b"tab\t.jpg",
        b"\x1b[2J.jpg",
        "\u202egpj.jpg".encode(),
        b"latin \xe9.jpg",
    ]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(jpeg(1))
    written = json.dumps([one.file for one in Source(str(tmp_path), MANIFEST).captures()])
    assert written.isascii()
    assert {os.fsencode(Path(file).relative_to(tmp_path)) for file in json.loads(written)} == set(names)


class Clock:
    """Time that passes only where somebody sleeps."""

    now_s, longest_s = 1000.0, 0.0

    def monotonic(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return round(self.now_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now_s, self.longest_s = self.now_s + seconds, max(self.longest_s, seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("sctx.capture.source.time", clock)
    return clock


def taken_s(captures: Iterable[Capture]) -> list[tuple[int, float]]:
    return [(one.index, round(one.captured_ns / 1e9 - 1000.0, 3)) for one in captures]


def test_a_picture_that_cannot_be_read_takes_its_turn_and_each_is_read_when_it_is_due(
    tmp_path: Path, clock: Clock
) -> None:
    for name, picture in (("a.jpg", b"words"), ("b.jpg", jpeg(1)), ("c.jpg", b"words")):
        (tmp_path / name).write_bytes(picture)
    assert taken_s(Source(str(tmp_path), MANIFEST).captures(6, 20.0)) == [(1, 0.05), (4, 0.2)]
    assert clock.now_s == pytest.approx(1000.25)


def test_so_does_one_on_standard_input(clock: Clock) -> None:
    Image.new("RGB", (9, 9)).save(png := io.BytesIO(), "PNG")
    damaged = png.getvalue().replace(b"IDATx", b"IDATy")
    assert [at for _, at in taken_s(camera(jpeg(5) + damaged + jpeg(7)).captures(fps=2.0))] == [0.0, 1.0]


def test_a_folder_that_is_away_does_not_use_up_the_count_of_a_run_that_goes_round(tmp_path: Path, clock: Clock) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.jpg").write_bytes(b"words")
    source = Source(str(tmp_path), MANIFEST)
    assert list(source.captures()) == []
    assert clock.now_s == 1000.0, "each once: nothing is gained by waiting"
    assert list(source.captures(400)) == []
    assert clock.now_s == pytest.approx(1004.0)


def test_the_only_picture_of_a_run_that_goes_round_may_be_away_for_a_while(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "now.jpg").write_bytes(jpeg(1))
    source = Source(str(tmp_path / "now.jpg"), MANIFEST)
    taken = []
    for capture in source.captures(4, 1.0):
        taken += taken_s([capture])
        (tmp_path / "now.jpg").unlink(missing_ok=True)
    assert (taken, source.unreadable) == ([(0, 0.0)], 3)


@pytest.mark.parametrize("fps", [1e-5, 1e9])
def test_any_pace_can_be_slept(tmp_path: Path, clock: Clock, fps: float) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    assert [at for _, at in taken_s(Source(str(tmp_path), MANIFEST).captures(2, fps))] == [0.0, round(1 / fps, 3)]
    assert clock.longest_s <= 3600.0
