"""A baseline: classify at the transmitter and send the label, in the best code there is for it.

    python tests/examples/baseline.py 88.1 16 -6 -3 0 3      # accuracy without noise in %, channel uses, Es/N0 in dB

A baseline is a module of `training/baselines/` with its source and its convention; the pair's number at the same
channel uses comes from `training.evaluate`.
"""

import sys

from training.baselines.label_code import told_right


def main(clean: float, uses: int, *snrs_db: float) -> list[float]:
    """clean: accuracy in % of the transmitter's own decision -> accuracy in % at the receiver, for each SNR."""
    found = [clean * told_right(snr_db, uses) for snr_db in snrs_db]
    for snr_db, percent in zip(snrs_db, found, strict=True):
        print(f"{snr_db:g} dB: {percent:.1f} %")
    return found


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:]))
