"""The curve of a training run, epoch by epoch, as JSON lines.

Knows nothing about what the numbers mean.
"""

import json
from pathlib import Path
from types import TracebackType


class Journal:
    """Writes FOLDER/metrics.jsonl. A context manager.

    `done`: steps of an earlier process that still count; what it wrote of later ones is dropped.
    """

    def __init__(self, folder: Path, done: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        kept = path.read_text().splitlines(keepends=True)[:done] if done and path.is_file() else []
        self._file = path.open("w")
        self._file.writelines(kept)
        self._file.flush()

    def write(self, step: int, **values: float) -> None:
        """One line: {"step": step, name: value, ...}, flushed."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
