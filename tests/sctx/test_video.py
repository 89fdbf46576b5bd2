"""Videos and cameras as a source: every frame once, in order, under its name; what cannot be read is told."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError, DataError, SemlinkError
from common.pair.manifest import find_pair
from sctx.capture.source import Source
from sctx.capture.video import CAMERA, is_video
from tests.sctx.films import CODES, film

pytest.importorskip("cv2", reason="OpenCV is not installed")
MANIFEST = find_pair("digits")


@pytest.mark.parametrize("suffix", sorted(CODES))
def test_every_frame_comes_once_in_order_with_its_name(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"clip{suffix}")
    source = Source(str(path), MANIFEST)
    captures = list(source.captures())
    assert [one.file for one in captures] == [f"{path}#{k}" for k in range(12)]
    assert [one.index for one in captures] == list(range(12))
    assert {one.image.shape for one in captures} == {(48, 64, 3)}
    red = [float(one.image[:, :24, 0].mean()) for one in captures]
    assert np.allclose(red, [20 * k for k in range(12)], atol=14)
    assert all(one.image[:, 40:, 2].mean() > 150 > 50 > one.image[:, 40:, 0].mean() for one in captures)  # RGB
    assert (source.size, source.unreadable) == (None, 0)
    assert all(a.captured_ns <= b.captured_ns for a, b in itertools.pairwise(captures))


def test_count_ends_a_video_early_and_a_name_in_capitals_is_one(tmp_path: Path) -> None:
    assert len(list(Source(str(film(tmp_path / "CLIP.MP4")), MANIFEST).captures(5))) == 5


def test_frames_are_named_by_the_path_and_errors_by_what_can_be_shown(tmp_path: Path) -> None:
    source = Source(str(film(tmp_path / "a\nb\u202e.avi", 2)), MANIFEST)
    assert [one.file for one in source.captures()] == [f"{tmp_path}/a\nb\u202e.avi#{k}" for k in range(2)]
    (tmp_path / "a\nb\u202e.avi").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\\nb\\u202e\.avi: it is no video"):
        Source(source.spec, MANIFEST)
    (tmp_path / "\udcff.avi").write_bytes(b"")
    for spec in (str(tmp_path / "\udcff.avi"), "camera:\udcff"):
        with pytest.raises(DataError, match=r"\\udcff.*: OpenCV opens no name that is not UTF-8"):
            Source(spec, MANIFEST)


def test_a_file_goes_round_where_more_is_asked_for(tmp_path: Path) -> None:
    path = film(tmp_path / "clip.mp4", 5)
    captures = list(Source(str(path), MANIFEST).captures(12))
    assert [one.index for one in captures] == list(range(12))
    assert [one.file for one in captures] == [f"{path}#{k % 5}" for k in range(12)]


@pytest.mark.parametrize("frames", [1, 2])
def test_a_short_video_is_whole(tmp_path: Path, frames: int) -> None:
    source = Source(str(film(tmp_path / "clip.mp4", frames)), MANIFEST)
    assert len(list(source.captures())) == frames
    assert source.unreadable == 0


def test_frames_that_cannot_be_read_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = film(tmp_path / "clip.mp4", 40)
    raw = path.read_bytes()
    begin = raw.index(b"mdat") + 4
    path.write_bytes(raw[: begin + 400] + bytes(len(raw) - begin - 400 - 1500) + raw[-1500:])
    source = Source(str(path), MANIFEST)
    read = len(list(source.captures()))
    assert 0 < read < 38
    assert source.unreadable == 40 - read
    assert f"{40 - read} frames that it lists cannot be read" in caplog.records[-1].why


@pytest.mark.parametrize("count", [None, 5])
def test_a_video_without_a_frame_that_can_be_read_ends_with_a_line(tmp_path: Path, count: int | None) -> None:
    path = film(tmp_path / "clip.mp4", 40)
    raw = path.read_bytes()
    begin, end = raw.index(b"mdat") + 4, raw.index(b"moov") - 4
    path.write_bytes(raw[:begin] + bytes(end - begin) + raw[end:])
    with pytest.raises(DataError, match=r"clip\.mp4: no frame of it can be read"):
        list(Source(str(path), MANIFEST).captures(count))


@pytest.mark.parametrize("content", [b"", b"no video", b"\0" * 5000, "half"])
def test_what_is_no_video_is_refused_in_a_line(
    tmp_path: Path, content: bytes | str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.mp4"
    whole = film(path).read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(DataError, match=r"clip\.mp4: it is no video that OpenCV can read, or cut short"):
        Source(str(path), MANIFEST)
    assert capfd.readouterr().err == ""


def test_a_camera_is_asked_by_number_path_or_address(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "stream.avi")
    captures = list(Source(f"{CAMERA}{tmp_path / 'stream.avi'}", MANIFEST).captures(3))
    assert [one.file for one in captures] == [f"camera:{tmp_path / 'stream.avi'}#{k}" for k in range(3)]
    numbers = ("camera:77", "camera:2147483648", f"camera:{'9' * 20}", f"camera:{'9' * 5000}")
    for nobody in (*numbers, "camera:/dev/video77", "camera:", "camera:rtsp://127.0.0.1:9/none"):
        with pytest.raises(SemlinkError, match=f"^source {re.escape(nobody)}: no camera answers there") as refused:
            Source(nobody, MANIFEST)
        assert refused.value.exit_code == 1, "it may come up yet: a service tries again"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("count", [None, 13])
def test_a_camera_that_ends_has_failed_after_all_that_it_gave(tmp_path: Path, count: int | None) -> None:
    source, taken = Source(f"{CAMERA}{film(tmp_path / 'stream.avi')}", MANIFEST), list[int]()
    with pytest.raises(
        SemlinkError, match=r"^source camera:.*stream\.avi: the camera ended after 12 pictures"
    ) as ended:
        taken.extend(one.index for one in source.captures(count))
    assert (taken, ended.value.exit_code) == (list(range(12)), 1)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://user:secret@127.0.0.1:9/hall",
        "rtsp://user:@secret@127.0.0.1:9/hall",
        "rtsp://secret@127.0.0.1:9/hall",
        "http://127.0.0.1:9/hall?user=admin&password=secret",
        "http://user:secret@127.0.0.1:9/hall?password=secret/@x",
    ],
)
def test_nobody_is_told_the_password_of_a_camera(address: str) -> None:
    with pytest.raises(SemlinkError) as refused:
        Source(f"camera:{address}", MANIFEST)
    assert "127.0.0.1:9/hall" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_folder_or_nothing_of_that_name_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "films.mp4").mkdir()
    assert not is_video(str(tmp_path / "films.mp4"))
    assert not is_video(str(tmp_path / "none.mp4"))
    with pytest.raises(ConfigError, match=r"not found; give .* a video"):
        Source(str(tmp_path / "none.mp4"), MANIFEST)


def test_without_opencv_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "clip.mp4")
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"install it by `pip install '\.\[video\]'`"):
        Source(str(path), MANIFEST)
