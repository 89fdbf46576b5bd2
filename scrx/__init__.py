"""RECEIVER: symbols in, answers and channel reports out."""

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package hides semlink's 'common': {common.__file__}; give semlink a virtual environment of its own"
    )

__all__ = ["ReceivedAnswer", "Receiver"]


def __getattr__(name: str) -> object:
    """`scrx.Receiver` and its company, loaded when first asked for: they import torch, the command line need not."""
    if name in __all__:
        from scrx import receiver

        return getattr(receiver, name)
    raise AttributeError(f"module 'scrx' has no attribute {name!r}")
