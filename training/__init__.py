"""PRODUCES BOTH HALVES: teacher, knowledge store, distillation, evaluation."""

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package hides semlink's 'common': {common.__file__}; give semlink a virtual environment of its own"
    )
