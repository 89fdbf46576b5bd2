"""The label sent in the best code there is for it: the transmitter classifies, a word says the class.

Knows nothing about pairs or images. No pilots on either side: the receiver knows h = 1 and N0. M equally likely labels
are M words of a simplex, whose correlation is -1/(M-1); no better code is known, and it fits where 2n >= M - 1. Its
words are told right as often as M orthogonal ones with M/(M-1) of the energy (Proakis, Digital Communications, 5th ed.,
4.4): with E = n Es/N0 of that,

    P = integral of phi(x - sqrt(2 E)) Phi(x)^(M-1) dx
"""

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm


def told_right(snr_db: float, uses: int, labels: int = 10) -> float:
    """Probability (0..1) that maximum likelihood finds the word that was sent: coherent, AWGN, N0/2 per real dimension.

    snr_db: Es/N0; uses: complex channel uses n. ValueError where the words do not fit into so many.
    """
    if 2 * uses < labels - 1:
        raise ValueError(f"{labels} labels need {labels - 1} real dimensions, and {uses} uses have {2 * uses}")
    energy = uses * 10.0 ** (snr_db / 10.0) * labels / (labels - 1)  # over N0
    shift = np.sqrt(2.0 * energy)
    return float(quad(lambda x: norm.pdf(x - shift) * norm.cdf(x) ** (labels - 1), shift - 9.0, shift + 9.0)[0])
