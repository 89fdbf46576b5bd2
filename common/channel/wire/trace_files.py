"""Files that a request to the control port may name: those of one folder, and they are read beside the channel.

Knows nothing about sockets. What a request says is a name, never a path: nothing outside the folder can be asked for,
nor whether it is there.
"""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.channel.models.materials import Tables
from common.channel.spec.spec import CHANNEL, ChannelSpec
from common.channel.streams.timeline import Plan
from common.errors import ConfigError, SemlinkError
from common.inputs import open_regular
from common.text import safe

MOST_BYTES = 16 << 20


def files_in(fields: dict[str, Any]) -> list[str]:
    """Which of some parameters name a file by their values."""
    return [name for name, value in fields.items() if CHANNEL[name].names_file(value)]


def in_folder(folder: Path | None, name: str, value: str) -> str:
    """The path of a file that was named. Raises ConfigError for whatever is no plain name in the folder."""
    if folder is None:
        raise ConfigError(f"{name} names a file: start channel-emu with --traces FOLDER, and name one that lies there")
    if value != Path(value).name or value.startswith(".") or not value.isprintable() or len(value) > 200:
        raise ConfigError(f"{name} {safe(value)}: write the plain name of a file in the folder of --traces")
    return str(folder / value)


class Reading:
    """Reads the files that a change names, in a thread of its own. `done`: then `error` says what was wrong, if so."""

    def __init__(self, spec: ChannelSpec, fields: dict[str, Any], framed: bool) -> None:
        self.fields, self.tables = fields, Tables()
        self.error: SemlinkError | None = None
        self._spec, self._framed = spec, framed
        self._thread = threading.Thread(target=self._read, name="channel-emu-traces", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """True when everything was read, or something could not be."""
        return not self._thread.is_alive()

    def _read(self) -> None:
        try:
            for name in files_in(self.fields):
                open_regular(Path(self.fields[name]), MOST_BYTES, follow=False).close()
            Plan(replace(self._spec, **self.fields), tables=self.tables, framed=self._framed)
        except SemlinkError as error:
            self.error = error
        except Exception as error:  # nobody else would see it
            self.error = ConfigError(f"a file that was named cannot be read: {type(error).__name__}")
