"""RECEIVER: symbols in, answers and channel reports out."""

from typing import TYPE_CHECKING

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package hides semlink's 'common': {common.__file__}; give semlink a virtual environment of its own"
    )

__all__ = [
    "ConfigError",
    "ModelError",
    "ReceivedAnswer",
    "Receiver",
    "SemlinkError",
    "Settings",
]

if TYPE_CHECKING:
    from common.errors import ConfigError, ModelError, SemlinkError
    from scrx.answers import ReceivedAnswer
    from scrx.receiver import Receiver
    from scrx.settings import Settings
else:
    from common.exports import lazily

    __getattr__, __dir__ = lazily(
        "scrx",
        {
            "common.errors": ("ConfigError", "ModelError", "SemlinkError"),
            "scrx.answers": ("ReceivedAnswer",),
            "scrx.receiver": ("Receiver",),
            "scrx.settings": ("Settings",),
        },
    )
