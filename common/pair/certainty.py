"""How often what a transmitter decides is right, which both ends of a pair know. Knows nothing about channels.

shares        P(class | decision), measured on validation images: float32 [C, C]
attainable    how sure an answer can be at most: the chance of being right of its decision, had that surely arrived
"""

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.pair.agreement import Agreement
from common.pair.manifest import Manifest
from common.pair.tensors import load_half

Floats = NDArray[np.float32]


def shares_of(manifest: Agreement) -> Floats | None:
    """From the pair's receiving half; None where that is not here, or there is no pair."""
    if not isinstance(manifest, Manifest):
        return None
    try:
        shares = load_half(manifest, "decoder").get("classes")
    except ModelError:
        return None
    classes = len(manifest.labels)
    return shares if shares is not None and shares.shape == (classes, classes) and (shares.max(-1) > 0).all() else None


def attainable(shares: Floats) -> Floats:
    """float32 [C]; 1 for a class that no decision has for its answer."""
    answers, found = shares.argmax(-1), np.zeros(len(shares), np.float32)
    np.maximum.at(found, answers, shares.max(-1))
    found[found == 0] = 1.0
    return found
