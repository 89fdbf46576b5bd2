"""Evaluates a pair against the SNR: the chains of both halves, the emulator's channel and the closed loop, no sockets.

    python tests/examples/evaluate_pair.py digits 0 10

Frame by frame it gives what `sctx --stream 1 --window 1` and `channel-emu --fading rayleigh --seed 0` give.
"""

import sys

from common.channel.spec.spec import ChannelSpec
from common.images.datasets import load_for
from common.pair.manifest import find_pair
from common.pair.origin import dataset_of
from sctx.rate.policy import RatePolicy
from training.lab.direct import run_direct


def main(pair: str, *snrs_db: float, images: int | None = None) -> list[tuple[float, float, float]]:
    """pair: a shipped name or a folder; images: at most so many. For each SNR: itself, accuracy (0..1), mean uses."""
    manifest = find_pair(pair)
    test = load_for(manifest, dataset_of(manifest), "test")
    found = []
    for snr_db in snrs_db:
        spec = ChannelSpec(snr_db=snr_db, fading="rayleigh")
        answers = list(run_direct(manifest, test.images[:images], spec, stream=1, policy=RatePolicy()))
        right = [answer.answer == label for answer, label in zip(answers, test.labels[:images], strict=True)]
        uses = [answer.uses for answer in answers]
        found.append((snr_db, sum(right) / len(right), sum(uses) / len(uses)))
        print(f"{snr_db:g} dB: {100 * found[-1][1]:.1f} % right, {found[-1][2]:.1f} channel uses an image")
    return found


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
