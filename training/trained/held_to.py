"""What a fitted baseline must reach before it is compared: bounds that can be checked wherever its data are.

Knows nothing about trials. Figures of papers on data that are not those of the suite: `published.py`.
"""

from typing import Any

import numpy as np

from common.images.imageset import ImageSet
from training.systems.system import Place
from training.trained.learned import Kit, Option, share_right

CLEAN_DB = 60.0
STREAMS = range(950, 954)
POINT = 0.01
"""What "within a point" means."""


def held_to(kit: Kit, held: ImageSet) -> list[dict[str, Any]]:
    """Each check as {"what", "measured", "bound", "holds"}, shares of the held-out images."""
    checks = [_channel_costs_nothing(kit, held)]
    if enough := [bits for bits in ("b4", "b64") if bits in kit.weights]:
        own = float(np.mean(kit.bench.decide(held.images) == held.labels))
        checks += [_reaches(kit, held, bits, own) for bits in enough]
    return checks


def _channel_costs_nothing(kit: Kit, held: ImageSet) -> dict[str, Any]:
    """At 20 dB the best member for 16 uses is within a point of itself without noise."""
    noisy, clean = (Place("awgn", "perfect", 16, snr) for snr in (20.0, CLEAN_DB))
    options = kit.options(noisy)
    at_20 = {option: _right(kit, held, option, noisy) for option in options}
    best = max(options, key=lambda option: at_20[option])
    without = _right(kit, held, best, clean)
    what = f"{best.member}, 16 uses of AWGN: 20 dB within a point of no noise"
    return _check(what, at_20[best], without)


def _reaches(kit: Kit, held: ImageSet, member: str, own: float) -> dict[str, Any]:
    """Bits that are enough for the class reach the pair's own decision: 10 classes need log2(10) = 3.3 of them."""
    right = _right(kit, held, Option(member, 0), Place("awgn", "perfect", 64, CLEAN_DB))
    return _check(f"{member[1:]} bits without noise: within a point of the pair's own decision", right, own)


def _check(what: str, right: float, least: float) -> dict[str, Any]:
    bound = least - POINT
    return {"what": what, "measured": round(right, 4), "bound": round(bound, 4), "holds": right >= bound}


def _right(kit: Kit, held: ImageSet, option: Option, place: Place) -> float:
    way = kit.way(option, place)
    assert way is not None
    return share_right(way, held, place, STREAMS)
