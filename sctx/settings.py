"""How a transmitter sends: each setting with its range, default and flag. Knows nothing about sockets or images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.check import Folder, Number, OneOf, Switch, Text, Whole, check_settings, described, setting
from common.errors import ConfigError
from common.pair.networks import AUTO, BACKENDS
from common.text import safe
from sctx.rate.policy import RatePolicy

if TYPE_CHECKING:
    from common.pair.agreement import Agreement

CLASSIFY = "classify"
LIVE_DEADLINE_MS, FINITE_DEADLINE_MS = 500, 10_000


class _Policy:
    """A RatePolicy, or how one is written; not one that knows more than any link tells."""

    def read(self, name: str, value: object) -> RatePolicy:
        policy = value if isinstance(value, RatePolicy) else RatePolicy.parse(Text().read(name, value))
        policy.require_reports()
        return policy

    def __str__(self) -> str:
        return "a RatePolicy or what RatePolicy.parse takes"


class _Tasks:
    """Names of tasks; which of them a pair answers, the pair knows."""

    def read(self, name: str, value: object) -> tuple[str, ...]:
        if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise ConfigError(f"{name} is {safe(repr(value))} and must be a tuple of names of tasks")

    def __str__(self) -> str:
        return "names"


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a transmitter sends. Checked when it is made: ConfigError names what is wrong."""

    policy: RatePolicy | str = setting(
        RatePolicy(),
        _Policy(),
        "How the rate is chosen: adaptive, average (ignores the instantaneous SNR), robust or fixed:SYMBOLS. A report "
        "that is older than 5 s or 256 frames on the air counts as none, and then the most robust rate is sent.",
        "--rate-policy",
        metavar="POLICY",
    )
    live: bool = setting(
        False,
        Switch(),
        "Skip images when the link is busy, and give up on late ones, as a camera would.",
        "--live",
    )
    deadline_ms: int | None = setting(
        None,
        Whole(1, 65535),
        "Age in ms at which an answer is worth nothing.",
        "--deadline-ms",
        unset=f"{LIVE_DEADLINE_MS} live, else {FINITE_DEADLINE_MS}",
    )
    window: int | None = setting(
        None, Whole(1, 255), "Frames in flight at most.", "--window", unset="what the receiver allows"
    )
    features: float = setting(
        0.2,
        Number(0.0, 100.0),
        "Points of accuracy that the decision may lose to the features, from which a receiver answers tasks that are "
        "chosen later; 0: all symbols say the decision.",
        "--features",
        metavar="POINTS",
    )
    distortion: float | None = setting(
        None,
        Number(0.0, 100.0, above=True),
        "Beside the goal: as many symbols as it takes for the receiver to miss no more than so many percent of the "
        "features' variance, for tasks that are chosen later.",
        "--distortion",
        unset="no matter",
        metavar="PERCENT",
    )
    trust_reports: bool = setting(
        False,
        Switch(),
        "Take the SNR as it is reported, whatever the answers say of it.",
        "--trust-reports",
    )
    ask_below: float = setting(
        0.0,
        Number(0.0, 1.0),
        "Confidence, as a share of what it can be, below which an image's next symbols are asked for; 0: never. "
        "On the command line: --arq incremental and --confidence.",
    )
    tasks: Sequence[str] | None = setting(
        None,
        _Tasks(),
        "What to ask the receiver for, such as ('classify', 'embedding'), and () for all; answers carry no more.",
        unset="the class",
    )
    stream: int | None = setting(
        None,
        Whole(0, 2**32 - 1),
        "Random stream of the channel; equal streams meet equal channels.",
        "--stream",
        unset="random",
    )
    give_up_s: float = setting(
        60.0,
        Number(0.0, above=True),
        "Seconds without getting anywhere before giving up (LinkDown, exit code 4).",
        "--give-up",
    )
    device: str = setting("auto", Text(), "auto, cpu or cuda.", "--device")
    backend: str = setting(
        AUTO,
        OneOf(BACKENDS),
        "What runs the pair's networks: onnx (ONNX Runtime, on the CPU), torch, or auto: torch on a GPU, else onnx "
        "where it is installed and the pair has graphs.",
        "--backend",
    )
    keys: str | Path | None = setting(
        None,
        Folder(),
        "Folder with this host's key and the keys that it trusts: the link is encrypted.",
        "--keys",
        unset="the user's own folder, if it has a key",
        metavar="DIR",
    )
    insecure: bool = setting(False, Switch(), "Speak without encryption, although there are keys.", "--insecure")

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def rate_policy(self) -> RatePolicy:
        """`policy` as what it was read as."""
        return _Policy().read("policy", self.policy)

    @property
    def deadline(self) -> int:
        """In ms: what was given, or what goes with `live`."""
        return self.deadline_ms or (LIVE_DEADLINE_MS if self.live else FINITE_DEADLINE_MS)

    def tasks_of(self, manifest: "Agreement") -> tuple[str, ...]:
        """The names to ask for: what was given, or the class, or all where the pair knows none."""
        if self.tasks is None:
            return (CLASSIFY,) if CLASSIFY in manifest.tasks else manifest.tasks
        return tuple(self.tasks) or manifest.tasks

    def check(self, manifest: "Agreement") -> None:
        """Raise ConfigError where a pair has not what is asked for: a rate, or a task, or two settings are at odds."""
        self.rate_policy.check(manifest.layout.rates)
        if self.distortion is not None:
            self._check_features()
        if not set(self.tasks_of(manifest)) <= set(manifest.tasks):
            known = ", ".join(repr(task) for task in manifest.tasks)
            raise ConfigError(f"tasks is {safe(repr(self.tasks))}, and this model answers {known}")

    def _check_features(self) -> None:
        """ConfigError where `distortion` goes with nothing else."""
        if self.rate_policy.kind not in ("adaptive", "average"):
            raise ConfigError(f"distortion chooses a rate, and so does policy {self.rate_policy}: give one of them")
        if not self.features:
            raise ConfigError("distortion asks for features, and features=0 that none are sent: give one of them")
