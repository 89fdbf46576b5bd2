"""Recordings in SigMF: the impaired samples, with the truth about each frame as an annotation.

Knows nothing about sockets. NAME.sigmf-data holds complex64 little endian, NAME.sigmf-meta describes it; any SigMF tool
reads both. Keys in the namespace `semlink` are what a playback needs: where each frame belongs on the air clock, its
header, and the greeting that opened its session.

The description is written as the samples are, to NAME.sigmf-meta.part, and gets its name when the recording is closed
in order: samples that were cut short have no description, and no description is about other samples than its own. Its
end has its room from the beginning on, so that what fitted on a disk that is full can be played.
"""

import hashlib
import json
import math
import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from common.channel.files.output import Output, check_free, check_output
from common.channel.spec.spec import ChannelSpec
from common.channel.streams.channel import Truth
from common.channel.streams.stream import Symbols
from common.errors import ConfigError, ProtocolError, SemlinkError
from common.inputs import PATH
from common.protocol.frames import DataHead, decode
from common.protocol.messages import Hello, Kind
from common.text import safe

_SUFFIXES = (".sigmf-data", ".sigmf-meta", ".sigmf")
_FLAG = "--record"
_SIGMF = "1.2.0"
_HELLOS = 4096
"""Sessions whose greeting is kept until their frames come."""


def recording_paths(path: Path) -> tuple[Path, Path]:
    """Data and meta file of a recording that is named with or without a SigMF ending. ConfigError: no name."""
    base = path.with_suffix("") if path.suffix in _SUFFIXES else path
    if not base.name:
        raise ConfigError(f"a recording needs a name, and {path} has none: give NAME or FOLDER/NAME")
    return base.with_name(base.name + ".sigmf-data"), base.with_name(base.name + ".sigmf-meta")


def check_recording(path: Path, overwrite: bool) -> str:
    """What a `Recorder` would write, for people. Raises ConfigError where it would, and leaves everything as it is."""
    data, _, part = _free_paths(path, overwrite)
    for one in (data, part):
        check_output(one, _FLAG, overwrite)
    return f"{data} can be written"


def _free_paths(path: Path, overwrite: bool) -> tuple[Path, Path, Path]:
    """Data, meta and its part. ConfigError where one of them is taken and not to be replaced."""
    data, meta = recording_paths(path)
    part = meta.with_name(meta.name + ".part")
    for taken in (meta, part, data):
        check_free(taken, _FLAG, overwrite)
    return data, meta, part


class Recorder:
    """Writes samples and notes as they come. overwrite: replace a recording of this name, its description first."""

    def __init__(self, path: Path, spec: ChannelSpec, overwrite: bool = False) -> None:
        data, self._meta_path, self._part = _free_paths(path, overwrite)
        self._digest, self._spec = hashlib.sha512(), spec
        with suppress(FileNotFoundError):
            self._meta_path.unlink()
        self._data = Output(data, _FLAG, overwrite)
        try:
            self._notes = Output(self._part, _FLAG, overwrite, kept=len(self._end()))
        except BaseException:
            self._data.discard()
            raise
        self._count = 0
        self._hellos: OrderedDict[bytes, bytes] = OrderedDict()

    def hello(self, body: Sequence[bytes]) -> None:
        """Keep the header of a HELLO: a playback of its session says it again."""
        try:
            message = decode(body, (Kind.HELLO,))
        except ProtocolError:
            return  # the receiver will say what is wrong with it
        if isinstance(message, Hello):
            self._hellos.pop(message.session, None)
            self._hellos[message.session] = body[1]
            if len(self._hellos) > _HELLOS:
                self._hellos.popitem(last=False)

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
        samples = y.tobytes()
        if not self._data.write(samples):
            return False
        notes: dict[str, Any] = {
            "core:sample_start": self._count,
            "core:sample_count": y.size,
            "semlink:stream": stream,
            "semlink:air_start": air_start,
            "semlink:h_re": truth.h.real,
            "semlink:h_im": truth.h.imag,
            "semlink:power": truth.power,
            **(more or {}),
        }
        if math.isfinite(truth.snr_inst_db):
            notes["semlink:snr_inst_db"] = truth.snr_inst_db
        start = ",\n" if self._count else '{"annotations": [\n'
        if not self._notes.write(f"{start}{json.dumps(notes)}".encode()):
            self._data.take_back(len(samples))
            return False
        self._digest.update(samples)
        self._count += y.size
        return True

    def close(self) -> None:
        """Finish the description of what was recorded. Raises SemlinkError where that is not all."""
        told = []
        try:
            self._finish()
        except OSError as error:
            told.append(f"cannot write {safe(self._meta_path, PATH)}: {error.strerror}; the samples lack it")
        try:
            self._data.close()
        except SemlinkError as error:
            told.append(str(error).removeprefix(f"{_FLAG} "))
        if told:
            raise SemlinkError(f"{_FLAG} {'; '.join(reversed(told))}")

    def _finish(self) -> None:
        if self._count:
            self._notes.finish(self._end())
            os.replace(self._part, self._meta_path)
        else:  # nothing to describe
            self._notes.discard()
            self._data.discard()

    def _end(self) -> bytes:
        """What stands behind the notes: of one size, whatever was recorded."""
        about: dict[str, Any] = {
            "core:version": _SIGMF,
            "core:datatype": "cf32_le",
            "core:sha512": self._digest.hexdigest(),
            "core:description": f"semlink channel: {self._spec.describe()}",
            "core:recorder": "semlink channel-emu",
            "core:extensions": [{"name": "semlink", "version": "1.0.0", "optional": True}],
        }
        if self._spec.rate:
            about["core:sample_rate"] = self._spec.rate
        captures = [{"core:sample_start": 0}]
        return f'],\n"captures": {json.dumps(captures)},\n"global": {json.dumps(about)}}}\n'.encode()
