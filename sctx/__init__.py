"""TRANSMITTER: image in, symbols out, answers and channel reports back."""

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package hides semlink's 'common': {common.__file__}; give semlink a virtual environment of its own"
    )

__all__ = ["Answer", "Capture", "Goal", "Missed", "RatePolicy", "Transmitter"]


def __getattr__(name: str) -> object:
    """`sctx.Transmitter` and its company, loaded when first asked for: they import torch, the command line need not."""
    if name in ("RatePolicy", "Goal"):
        from sctx.rate import policy as rate

        return getattr(rate, name)
    if name in ("Answer", "Missed"):
        from sctx import answers

        return getattr(answers, name)
    if name == "Capture":
        from sctx.capture.source import Capture

        return Capture
    if name in __all__:
        from sctx import transmitter

        return getattr(transmitter, name)
    raise AttributeError(f"module 'sctx' has no attribute {name!r}")
