"""How a receiver answers: each setting with its range, default and flag. Knows nothing about sockets or frames."""

from dataclasses import dataclass
from pathlib import Path

from common.check import Folder, Number, Switch, Text, Whole, check_settings, described, setting


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a receiver answers. Checked when it is made: ConfigError names what is wrong."""

    max_batch: int = setting(32, Whole(1, 4096), "Frames decoded together at most.", "--max-batch")
    batch_wait_ms: float = setting(
        0.0,
        Number(0.0, 1000.0),
        "How long to wait for a fuller batch, in ms; 0: a lone frame never waits.",
        "--batch-wait-ms",
    )
    window: int = setting(2, Whole(1, 255), "Frames that each transmitter may have in flight.", "--window")
    deadline_cap_ms: int = setting(
        60_000, Whole(1, 65535), "Longest deadline that is honoured, in ms.", "--deadline-cap-ms"
    )
    max_sessions: int = setting(64, Whole(1, 65535), "Transmitters served at once.", "--max-sessions")
    workers: int = setting(
        0,
        Whole(0, 64),
        "Processes that decode. 0: this one decodes; the answers are the same.",
        "--workers",
    )
    worker_timeout_s: float = setting(
        5.0,
        Number(0.1, 3600.0),
        "A worker that takes more seconds over a batch is killed, and its frames go to another.",
        "--worker-timeout",
        metavar="SECONDS",
    )
    control: str | None = setting(
        None,
        Text(),
        "The control port, over which new classes are enrolled: a number names a socket that only you can reach, on "
        "this host; 0 takes a free one. ipc://FILE is taken as it is, and tcp://HOST:PORT with --insecure.",
        "--control",
        unset="none",
        metavar="PORT",
    )
    heads: str | Path | None = setting(
        None,
        Folder(),
        "Folder that keeps what is enrolled, whatever is killed, and from which it is there again at the next start.",
        "--heads",
        unset="in memory alone",
        metavar="DIR",
    )
    unknown: float = setting(
        0.05,
        Number(0.0, 0.5),
        "Share of the pictures of enrolled classes that may be called unknown; 0: none is, and strangers get a name.",
        "--unknown",
        metavar="SHARE",
    )
    keys: str | Path | None = setting(
        None,
        Folder(),
        "Folder with this host's key and the keys that it lets in: the link is encrypted.",
        "--keys",
        unset="the user's own folder, if it has a key",
        metavar="DIR",
    )
    insecure: bool = setting(
        False,
        Switch(),
        "Let other hosts reach the port, without encryption: a bare port binds every interface.",
        "--insecure",
    )

    def __post_init__(self) -> None:
        check_settings(self)
