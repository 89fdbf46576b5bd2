"""RECEIVER: symbols in, answers and channel reports out."""

import common

if getattr(common, "DISTRIBUTION", None) != "semlink":
    raise ImportError(
        f"another package named 'common' hides semlink's: {common.__file__}; install semlink into a virtual environment of its own"
    )
