"""How to add a rate policy: thresholds of the SNR, as links have that adapt modulation and coding.

    python tests/examples/policy.py

A policy is a function and its name in `RULES` of `sctx/rate/policy.py`, here at run time. What it is given is a belief:
equally likely SNRs of the frame to be sent, by the newest report, its error and its age. Where the name stands in the
project, `sctx --rate-policy NAME` and `training.closed_loop --systems NAME` know it as well.
"""

import numpy as np
from numpy.typing import NDArray

import sctx
from common.channel.spec.spec import ChannelSpec
from common.images.datasets import load_images
from sctx.rate.policy import RULES
from training.lab.loopback import Loopback

THRESHOLDS_DB = (12.0, 8.0, 4.0, 0.0)
"""Above the first the fewest symbols are sent, below the last all."""


def by_thresholds(belief: NDArray[np.float64] | None, rates: tuple[int, ...], goal: sctx.Goal, last: int | None) -> int:
    """An index into `rates`, payload symbols of each. belief: linear, float [N]; None: nothing is known."""
    if belief is None:
        return len(rates) - 1
    likely_db = 10 * np.log10(np.quantile(belief, 0.2))  # it is better four times in five
    return min(sum(likely_db < threshold for threshold in THRESHOLDS_DB), len(rates) - 1)


RULES["thresholds"] = by_thresholds


def main(images: int = 120) -> dict[tuple[str, float], tuple[float, float]]:
    """Policy and SNR -> accuracy, and channel uses for each image."""
    test, found = load_images("digits", "test"), {}
    for snr_db in (0.0, 10.0, 20.0):
        for policy in ("thresholds", "adaptive", "robust"):
            channel = ChannelSpec(snr_db=snr_db, fading="rayleigh", seed=1)
            with Loopback("digits", channel, sctx.Settings(policy=policy)) as link:
                answers = [link.send(image) for image in test.images[:images]]
            right = np.mean([one.answer for one in answers] == test.labels[:images])
            found[policy, snr_db] = float(right), float(np.mean([one.uses for one in answers]))
            print(f"{snr_db:4.0f} dB, {policy:10}: {100 * right:5.1f} % with {found[policy, snr_db][1]:4.1f} uses")
    return found


if __name__ == "__main__":
    main()
