"""What the channel did to each frame, as JSON lines for later comparison. Knows nothing about receivers.

It goes to a file beside the emulator and never to the receiver, whose estimate it is there to test. A line is joined to
a result by (session, seq, round).
"""

import json
import math
from pathlib import Path
from typing import TextIO

from common.channel.channel import Truth
from common.errors import ConfigError
from common.protocol.frames import DataHead


class TruthLog:
    """One JSON object per frame: session seq round stream air_start h_re h_im snr_inst_db power.

    snr_inst_db is null without noise.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file: TextIO = path.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--truth {path}: {error.strerror}") from None

    def write(self, head: DataHead, truth: Truth) -> None:
        """Add one frame."""
        entry = {
            "session": head.session.hex(),
            "seq": head.seq,
            "round": head.round,
            "stream": head.stream,
            "air_start": head.air_start,
            "h_re": truth.h.real,
            "h_im": truth.h.imag,
            "snr_inst_db": truth.snr_inst_db if math.isfinite(truth.snr_inst_db) else None,
            "power": truth.power,
        }
        self._file.write(json.dumps(entry) + "\n")

    def flush(self) -> None:
        """Let readers see everything written so far."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
