"""What the channel did to each frame, as JSON lines for later comparison. Knows nothing about receivers.

It goes to a file beside the emulator and never to the receiver, whose estimate it is there to test. A line is joined to
a result by (session, seq, round).
"""

import json
import math
from pathlib import Path

from common.channel.files.output import Output
from common.channel.streams.channel import Truth
from common.protocol.frames import DataHead


class TruthLog:
    """One JSON object per frame: session seq round stream air_start hop h_re h_im snr_inst_db power.

    snr_inst_db is null without noise. hop: how many emulators the frame had passed before; all of it is about this one,
    so that power at a later hop is what came out of the one before, noise included.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        """overwrite: replace a file of this name."""
        self._lines = Output(path, "--truth", overwrite)

    def write(self, head: DataHead, truth: Truth, hop: int = 0) -> bool:
        """Add one frame; False where the disk does not take it."""
        entry = {
            "session": head.session.hex(),
            "seq": head.seq,
            "round": head.round,
            "stream": head.stream,
            "air_start": head.air_start,
            "hop": hop,
            "h_re": truth.h.real,
            "h_im": truth.h.imag,
            "snr_inst_db": truth.snr_inst_db if math.isfinite(truth.snr_inst_db) else None,
            "power": truth.power,
        }
        return self._lines.write(f"{json.dumps(entry)}\n".encode())

    def close(self) -> None:
        """Close the file; without a frame there is none. Raises SemlinkError where a frame is missing in it."""
        if self._lines.pieces or self._lines.missed:
            self._lines.close()
        else:
            self._lines.discard()
