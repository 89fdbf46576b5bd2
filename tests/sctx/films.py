"""Small videos, written by OpenCV, whose every frame says which one it is."""

from pathlib import Path

import numpy as np
import pytest

from sctx.capture.video import opencv

CODES = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}


def film(path: Path, frames: int = 12, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose k-th frame is red of level 20 k over the left half, and blue over the right."""
    cv2 = opencv()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODES[path.suffix.lower()]), 10, size)
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {path.suffix}")
    width, height = size
    for k in range(frames):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, : width // 2, 2], frame[:, width // 2 :, 0] = min(20 * k, 255), 200
        writer.write(frame)
    writer.release()
    return path
