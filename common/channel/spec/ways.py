"""What may happen to whole messages on their way, and to channel reports on the way back: every parameter of it.

Knows nothing about symbols.
"""

import math
from dataclasses import dataclass, replace

from common.channel.spec.parameters import parameter, table
from common.check import check_settings, described
from common.errors import ConfigError


@described
@dataclass(frozen=True, slots=True)
class TransitSpec:
    """One way, there or back. Raises ConfigError for what is impossible."""

    delay_ms: float = parameter(
        0.0, "--delay", "MS", "Delay every message on its way to the receiver.", 0, 60_000, "ms"
    )  # fmt: skip
    jitter_ms: float = parameter(0.0, "--jitter", "MS", "Delay each data frame by 0 to so much more.", 0, 60_000, "ms")
    drop: float = parameter(0.0, "--drop", "P", "Lose data frames with this probability.", 0, 1, "(a probability)")
    burst: float = parameter(
        0.0, "--burst", "N", "Mean number of losses in a row (Gilbert-Elliott); 0 loses one by one.",
        0, 1e12, "(or inf)", beyond=math.inf,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
        if self.burst and not (self.burst >= 1.0 and self.drop < 1.0 and self.drop / (1.0 - self.drop) <= self.burst):
            raise ConfigError(f"burst {self.burst:g} does not go with drop {self.drop:g}: it must be at least 1 "
                              "and at least drop / (1 - drop)")  # fmt: skip


@described
@dataclass(frozen=True, slots=True)
class FeedbackSpec:
    """What happens to channel reports. Raises ConfigError for what is impossible."""

    loss: float = parameter(
        0.0, "--feedback-loss", "P", "Lose channel reports with this probability; the answers pass.",
        0, 1, "(a probability)",
    )  # fmt: skip
    delay: int = parameter(
        0, "--feedback-delay", "SYMBOLS", "A report comes with the answer to a frame this much later.",
        0, 2**32, "symbols",
    )  # fmt: skip
    bits: int = parameter(
        0, "--feedback-bits", "N", "Quantise the SNRs of a report to so many bits; 0 leaves them exact.",
        1, 16, "(or 0: not quantised)", beyond=0,
    )  # fmt: skip
    low_db: float = parameter(-10.0, "--feedback-low", "DB", "Lowest level of the quantiser.", -100, 100, "dB")
    high_db: float = parameter(30.0, "--feedback-high", "DB", "Highest level of the quantiser.", -100, 100, "dB")
    bias_db: float = parameter(
        0.0, "--feedback-bias", "DB", "Add so much to both SNRs of a report: the transmitter is misled.",
        -100, 100, "dB",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.low_db < self.high_db:
            raise ConfigError(f"low_db {self.low_db:g} must be below the highest level, {self.high_db:g} dB")

    @property
    def clean(self) -> bool:
        """True where reports pass as they are."""
        return not (self.loss or self.delay or self.bits or self.bias_db)


TRANSIT = tuple(table(TransitSpec).values())
FEEDBACK = tuple(table(FeedbackSpec).values())

_ON_THE_WAY_BACK = {
    "delay_ms": "Delay every message on its way back to the transmitter.",
    "jitter_ms": "Delay each answer by 0 to so much more.",
    "drop": "Lose answers, reports and all, with this probability.",
}
RETURN = tuple(
    replace(one, flag=f"--return-{one.flag[2:]}", text=_ON_THE_WAY_BACK[one.name])
    for one in TRANSIT
    if one.name in _ON_THE_WAY_BACK
)
"""The same parameters for the way back, where losses come one by one."""
