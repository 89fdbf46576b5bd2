"""A video file or a camera -> its frames, one after the other, by OpenCV. Knows nothing about what is in a frame.

FILE.mp4 and the like   every frame of the file, in order
camera:NUMBER           a camera of this host (camera:/dev/video1 as well)
camera:URL              a camera in the network, such as camera:rtsp://HOST/STREAM
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ConfigError, DataError, SemlinkError, by_pip
from common.files import user_path
from common.text import safe

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
CAMERA = "camera:"
COUNTED = (".mp4", ".m4v", ".mov")
"""Files that list their frames; others say about how many, by their length."""
LIST_IS_OFF_BY = 2
NUMBER = re.compile(r"[0-9]{1,9}")
"""Of a camera. OpenCV takes no larger one, and looks for a file of that name then."""


def is_video(spec: str) -> bool:
    """Whether a source is a camera, or a file whose name is that of a video."""
    path = user_path(spec)
    return spec.startswith(CAMERA) or (path.suffix.lower() in SUFFIXES and path.is_file())


class Video:
    """Iterates once over (name, frame): "clip.mp4#17" is frame 17, counted from 0; uint8 [H, W, 3], RGB.

    name: of the whole, as it is shown; nowhere is what may be secret in a camera's address. missing: frames that the
    file lists and that could not be read, once it has ended. ConfigError where OpenCV is not installed, SemlinkError
    where no camera answers, for it may come up yet, DataError where a file is no video.
    """

    def __init__(self, spec: str) -> None:
        self.is_camera, self.missing = spec.startswith(CAMERA), 0
        where = spec.removeprefix(CAMERA) if self.is_camera else str(user_path(spec))
        self._address = _without_secrets(spec) if self.is_camera else where
        self.name = safe(self._address, None)
        self._file = None if self.is_camera else Path(where)
        if re.search("[\ud800-\udfff]", where):  # OpenCV would crash
            raise DataError(f"source {self.name}: OpenCV opens no name that is not UTF-8: give it another")
        self._cv2 = opencv()
        self._capture = self._cv2.VideoCapture(int(where) if self.is_camera and NUMBER.fullmatch(where) else where)
        if not self._capture.isOpened():
            if self.is_camera:
                told = "no camera answers there; give camera:NUMBER, camera:/dev/videoN or camera:URL"
                raise SemlinkError(f"source {self.name}: {told}")
            raise DataError(f"source {self.name}: it is no video that OpenCV can read, or cut short")

    def __iter__(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        count = 0
        try:
            while True:
                there, frame = self._capture.read()
                if not there:
                    break
                yield f"{self._address}#{count}", self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB)
                count += 1
            if self._file is not None and self._file.suffix.lower() in COUNTED:
                listed = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
                self.missing = listed - count if listed - count > LIST_IS_OFF_BY else 0
        finally:
            self._capture.release()


def _without_secrets(address: str) -> str:
    """An address without user and password, and without what is asked, where some cameras want them."""
    return re.sub(r"\?.*", "?...", re.sub(r"//[^/?#]*@", "//", address), flags=re.DOTALL)


def opencv() -> Any:
    """The library, which says nothing by itself. ConfigError where it is not installed."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(f"videos and cameras need OpenCV: install it by {by_pip('video')}") from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    cv2.setNumThreads(1)
    return cv2
