"""Recordings in SigMF: the impaired samples, with the truth about each frame as an annotation.

Knows nothing about sockets. NAME.sigmf-data holds complex64 little endian, NAME.sigmf-meta describes it; any SigMF tool
reads both. Keys in the namespace `semlink` are what a playback needs: where each frame belongs on the air clock, its
header, and the greeting that opened its session.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.channel.channel import Truth
from common.channel.output import Output
from common.channel.spec import ChannelSpec
from common.channel.stream import Symbols
from common.errors import ConfigError, ProtocolError, SemlinkError
from common.protocol.frames import DataHead, decode
from common.protocol.messages import Hello, Kind

_SUFFIXES = (".sigmf-data", ".sigmf-meta", ".sigmf")


def recording_paths(path: Path) -> tuple[Path, Path]:
    """Data and meta file of a recording that is named with or without a SigMF ending. ConfigError: no name."""
    base = path.with_suffix("") if path.suffix in _SUFFIXES else path
    if not base.name:
        raise ConfigError(f"a recording needs a name, and {path} has none: give NAME or FOLDER/NAME")
    return base.with_name(base.name + ".sigmf-data"), base.with_name(base.name + ".sigmf-meta")


class Recorder:
    """Writes samples as they come, and the description when it is closed."""

    def __init__(self, path: Path, spec: ChannelSpec) -> None:
        try:
            import sigmf  # noqa: F401  # seen here, so that a missing library is told before the run and not after it
        except ImportError:
            raise ConfigError("--record needs the sigmf library: pip install 'semlink[record]'") from None
        self._data_path, self._meta_path = recording_paths(path)
        self._data = Output(self._data_path, "--record")
        self._spec = spec
        self._count = 0
        self._hellos: dict[bytes, bytes] = {}
        self._annotations: list[tuple[int, int, dict[str, Any]]] = []

    def hello(self, body: Sequence[bytes]) -> None:
        """Keep the header of a HELLO: a playback of its session says it again."""
        try:
            message = decode(body, (Kind.HELLO,))
        except ProtocolError:
            return  # the receiver will say what is wrong with it
        if isinstance(message, Hello):
            self._hellos[message.session] = body[1]

    def frame(self, head: DataHead, header: bytes, y: Symbols, truth: Truth) -> bool:
        """Add the samples of one DATA frame; False where the disk does not take them."""
        more = {
            "semlink:session": head.session.hex(),
            "semlink:seq": head.seq,
            "semlink:round": head.round,
            "semlink:hello": self._hellos.get(head.session, b"").hex(),
            "semlink:header": header.hex(),
        }
        return self.samples(head.stream, head.air_start, y, truth, more)

    def samples(
        self, stream: int, air_start: int, y: Symbols, truth: Truth, more: dict[str, Any] | None = None
    ) -> bool:
        """Add y, complex64 [S], which left the channel at `air_start`; False where the disk does not take it."""
        if not self._data.write(y.tobytes()):
            return False
        notes: dict[str, Any] = {
            "semlink:stream": stream,
            "semlink:air_start": air_start,
            "semlink:h_re": truth.h.real,
            "semlink:h_im": truth.h.imag,
            "semlink:power": truth.power,
            **(more or {}),
        }
        if math.isfinite(truth.snr_inst_db):
            notes["semlink:snr_inst_db"] = truth.snr_inst_db
        self._annotations.append((self._count, y.size, notes))
        self._count += y.size
        return True

    def close(self) -> None:
        """Write the description of what was recorded. Raises SemlinkError where that is not all."""
        try:
            self._describe()
        except OSError as error:
            raise SemlinkError(
                f"--record: cannot write {self._meta_path}: {error.strerror}; the samples lack it"
            ) from None
        finally:
            self._data.close()

    def _describe(self) -> None:
        from sigmf import SigMFFile

        about: dict[str, Any] = {
            "core:datatype": "cf32_le",
            "core:description": f"semlink channel: {self._spec.describe()}",
            "core:recorder": "semlink channel-emu",
            "core:extensions": [{"name": "semlink", "version": "1.0.0", "optional": True}],
        }
        if self._spec.rate:
            about["core:sample_rate"] = self._spec.rate
        if not self._count:  # the library cannot describe an empty file
            self._data_path.unlink()
            return
        recording = SigMFFile(data_file=str(self._data_path), global_info=about)
        recording.add_capture(0)
        for start, length, notes in self._annotations:
            recording.add_annotation(start, length, metadata=notes)
        recording.tofile(str(self._meta_path), overwrite=True)
