"""What a transmitter's choices tell, in bits: control information that rides along with the payload and is charged.

Knows nothing about channels. A choice that follows from what the receiver knows tells nothing; one that depends on the
image or on an answer does, and a comparison that did not charge it would let the choice carry the message.
"""

import numpy as np
from numpy.typing import ArrayLike


def entropy(what: ArrayLike) -> float:
    """H(what) in bits, from how often each value occurs."""
    _, counts = np.unique(np.asarray(what), return_counts=True)
    shares = counts / counts.sum()
    return abs(float(-(shares * np.log2(shares)).sum()))


def conditional_entropy(what: ArrayLike, given: ArrayLike) -> float:
    """H(what | given) = H(what, given) - H(given) in bits; both integers from 0 on, of one shape."""
    first, second = np.asarray(what), np.asarray(given)
    return max(entropy(first * (second.max() + 1) + second) - entropy(second), 0.0)
