"""Where images come from: a data set, a folder, a file, or a stream on standard input. Knows nothing about models.

dataset:NAME[:SPLIT]   a data set by name, Hub id or folder, with labels; SPLIT is train, validation or test (default)
DIR                    photographs in a folder, sorted; labels where they lie in folders named like the classes
FILE.parquet           the images (and labels) of a Parquet file
FILE.jpg, FILE.png     one photograph
FILE.mp4, camera:0     the frames of a video or of a camera (`video.py`)
-                      JPEG, PNG or WebP pictures one after the other on standard input: files, or frames of a camera
"""

import logging
import os
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.check import whole
from common.errors import ConfigError, DataError, SemlinkError
from common.files import user_path
from common.images.datasets import open_split, open_table
from common.images.folders import TABLE, look
from common.images.names import UNKNOWN, composed
from common.images.photo import FORMATS, SUFFIXES, decode_image, shown
from common.images.split import Files, Picture, Split
from common.pair.manifest import Manifest
from sctx.capture.stdin import Pictures
from sctx.capture.video import Video, is_video

logger = logging.getLogger(__name__)
TOLD = 10
"""So many unreadable pictures are told one by one at level warning, further ones at level info."""
REST_S = 0.01
"""So long an unreadable picture takes at least where a run goes round: of a folder that is away, each is one."""
LONGEST_SLEEP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Capture:
    """One image: its number, uint8 [H, W, C], its true class (None: unknown), and when it was taken (monotonic ns).

    It need not fit the pair; of a large JPEG it is a half, a quarter or an eighth (`common/images/photo.py`).

    file: where it was read from (of a video FILE#FRAME, on standard input -#PICTURE), as it is and not as it may be
    shown; None for one of a data set.
    """

    index: int
    image: NDArray[np.uint8]
    label: int | None
    captured_ns: int
    file: str | None = None

    def __post_init__(self) -> None:
        for name in ("index", "label", "captured_ns"):
            if not (name == "label" and self.label is None):
                whole(f"{name} of a capture", getattr(self, name), -(2**63), 2**63 - 1)


class Source:
    """Images in order. `size`: how many (None: a stream, whose end is not known).

    unreadable: pictures that were left out so far. One bad picture among others is no reason to stop. notes: what was
    left out or taken for something, a line each, for people.
    """

    def __init__(self, spec: str, manifest: Manifest, read: Callable[[int], bytes] | None = None) -> None:
        """read: where `-` reads from (default: standard input)."""
        self.spec, self.unreadable, self._fit = spec, 0, manifest.preprocess
        self.notes: tuple[str, ...] = ()
        self.size: int | None = None
        self._video = Video(spec) if is_video(spec) else None
        if self._video is not None:
            return
        if spec == "-":
            self._stream = Pictures(read or _standard_input())
            return
        self._split, self.notes = _open(spec, manifest)
        self._labels, told = self._split.labels_among(manifest.labels)
        self.notes += (*self._split.notes, *told)
        self.size = len(self._split)
        if not self.size:
            raise DataError(f"source {spec}: no image found there{''.join(f'; {note}' for note in self.notes)}")

    def captures(self, count: int | None = None, fps: float | None = None) -> Iterator[Capture]:
        """`count` captures (default: each image once), going round again where the source is smaller.

        fps: so many pictures are asked for a second at most, whether they can be read or not; None: as they come.
        """
        turns = _turns(fps)
        if self.size is None:
            streamed = self._stream_captures(turns) if self._video is None else self._video_captures(turns, count)
            yield from islice(streamed, count)
            return
        goes_round = (count or 0) > self.size
        for index, _, (label, (where, picture)) in zip(range(count or self.size), turns, self._rounds(), strict=False):
            only = self.size == 1 and not index
            image = picture if isinstance(picture, np.ndarray) else self._decoded(picture, where, only)
            if image is not None:
                file = os.fspath(picture) if isinstance(picture, Path) else None
                yield Capture(index, image, label, time.monotonic_ns(), file)
            elif goes_round and not fps:
                time.sleep(REST_S)

    def _rounds(self) -> Iterator[tuple[int | None, tuple[str, Picture]]]:
        while True:
            yield from zip(self._labels, self._split.pictures(), strict=True)

    def _decoded(self, picture: Path | bytes, where: str, only: bool = False) -> NDArray[np.uint8] | None:
        """None where it cannot be read, which is told; DataError where it is the only one, and never was."""
        try:
            return decode_image(picture, where, self._fit)
        except DataError as error:
            if only:
                raise
            self._tell(str(error))
            return None

    def _tell(self, why: str, more: int = 1) -> None:
        level = logging.WARNING if self.unreadable < TOLD else logging.INFO
        self.unreadable += more
        logger.log(level, "picture_unreadable", extra={"why": why})

    def _stream_captures(self, turns: Iterator[None]) -> Iterator[Capture]:
        index, lost = 0, 0
        for number, (_, picture) in enumerate(zip(turns, self._stream, strict=False)):
            if self._stream.lost > lost:
                self._tell(f"what lies before picture {number} is neither JPEG, PNG nor WebP", self._stream.lost - lost)
                lost = self._stream.lost
            image = self._decoded(picture, f"picture {number} on standard input")
            if image is not None:
                yield Capture(index, image, None, time.monotonic_ns(), f"-#{number}")
                index += 1
        if self._stream.lost > lost:
            self._tell("what lies after the last picture is neither JPEG, PNG nor WebP", self._stream.lost - lost)
        if not index:  # what should have fed us said so where nobody looks, or nowhere
            raise DataError("source -: standard input ended without a readable JPEG, PNG or WebP picture")

    def _video_captures(self, turns: Iterator[None], count: int | None) -> Iterator[Capture]:
        for index, (_, (name, frame)) in enumerate(zip(turns, self._frames(count is not None), strict=False)):
            yield Capture(index, frame, None, time.monotonic_ns(), name)

    def _frames(self, again: bool) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """again: begin anew where a file ends; a camera has none, so that one that ends has failed: SemlinkError."""
        video = self._video
        while video is not None:
            count = 0
            for frame in video:
                count += 1
                yield frame
            if video.is_camera:
                raise SemlinkError(f"source {video.name}: the camera ended after {count} pictures")
            if video.missing:
                self._tell(f"{video.name}: {video.missing} frames that it lists cannot be read", video.missing)
            if not count:
                raise DataError(f"source {video.name}: no frame of it can be read")
            video = Video(self.spec) if again else None


def _standard_input() -> Callable[[int], bytes]:
    """Reads file descriptor 0, not sys.stdin, whose lock a reader thread would hold; waits also where it would not."""
    try:
        os.fstat(0)
    except OSError:
        raise ConfigError("source -: standard input is closed") from None
    if os.isatty(0):
        raise ConfigError("source -: standard input is a terminal; pipe pictures into it")

    def read(count: int) -> bytes:
        while True:
            try:
                return os.read(0, count)
            except BlockingIOError:
                select.select([0], [], [])
            except OSError as error:
                raise DataError(f"source -: cannot read standard input: {error.strerror}") from None

    return read


def _open(spec: str, manifest: Manifest) -> tuple[Split, tuple[str, ...]]:
    if spec.startswith("dataset:"):
        name, _, split = spec.removeprefix("dataset:").rpartition(":")
        return open_split(*((name, split) if name else (split, "test"))), ()
    path = user_path(spec)
    if path.is_dir():
        found = look(path)
        notes = found.note(shown(path))
        if any(kind == TABLE for kind in found.left_out):
            notes.append(f"a folder of Parquet files is given as dataset:{spec}:test")
        return _photographs(found.pictures, path, manifest), tuple(notes)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return _photographs([path], path, manifest), ()
    if path.is_file() and path.suffix.lower() == TABLE:
        return open_table(path), ()
    if path.exists():
        raise ConfigError(f"source {shown(path)}: neither a folder nor a {FORMATS} picture nor a {TABLE} file")
    raise ConfigError(
        f"source {spec}: not found; give dataset:NAME:SPLIT, a folder, a picture, a video, a .parquet file or -"
    )


def _photographs(files: list[Path], top: Path, manifest: Manifest) -> Split:
    """Labels by the nearest folder, up to and with the one that was given, whose name is a class of the pair."""
    classes = {composed(name): place for place, name in enumerate(manifest.labels)}
    labels = [UNKNOWN] * len(files)
    for k, file in enumerate(files if top.is_dir() else []):
        folders = map(composed, [*reversed(file.relative_to(top).parts[:-1]), top.name])
        labels[k] = next((classes[name] for name in folders if name in classes), UNKNOWN)
    return Split(shown(top), manifest.labels, np.array(labels, np.int64), Files(files), np.arange(len(files)))


def _turns(fps: float | None) -> Iterator[None]:
    """When the next picture may be asked for: so many times a second at most; None: at once.

    Who was kept waiting makes up for a second of it.
    """
    due_s = time.monotonic()
    while True:
        while fps and (wait_s := due_s - time.monotonic()) > 0.0:
            time.sleep(min(wait_s, LONGEST_SLEEP_S))
        if fps:
            due_s = max(due_s + 1.0 / fps, time.monotonic() - 1.0)
        yield
