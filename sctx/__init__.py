"""TRANSMITTER: image in, symbols out, answers and channel reports back."""

from typing import TYPE_CHECKING

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package hides semlink's 'common': {common.__file__}; give semlink a virtual environment of its own"
    )

__all__ = [
    "Answer",
    "Capture",
    "ConfigError",
    "DataError",
    "Goal",
    "LinkDown",
    "Missed",
    "ModelError",
    "PeerRejected",
    "RatePolicy",
    "SemlinkError",
    "Settings",
    "Transmitter",
]

if TYPE_CHECKING:
    from common.errors import ConfigError, DataError, LinkDown, ModelError, PeerRejected, SemlinkError
    from sctx.capture.source import Capture
    from sctx.outcomes import Answer, Missed
    from sctx.rate.policy import Goal, RatePolicy
    from sctx.settings import Settings
    from sctx.transmitter import Transmitter
else:
    from common.exports import lazily

    __getattr__, __dir__ = lazily(
        "sctx",
        {
            "common.errors": ("ConfigError", "DataError", "LinkDown", "ModelError", "PeerRejected", "SemlinkError"),
            "sctx.capture.source": ("Capture",),
            "sctx.outcomes": ("Answer", "Missed"),
            "sctx.rate.policy": ("Goal", "RatePolicy"),
            "sctx.settings": ("Settings",),
            "sctx.transmitter": ("Transmitter",),
        },
    )
