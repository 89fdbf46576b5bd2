"""Sends one picture and prints what the receiver answers.

In two terminals:

    scrx --listen 5555 --model cifar10
    python tests/examples/send_image.py 127.0.0.1:5555 PICTURE cifar10
"""

import sys

import numpy as np
from PIL import Image

import sctx


def main(peer: str, picture: str, model: str = "digits") -> sctx.Answer:
    """peer: HOST:PORT of a receiver or of a channel emulator."""
    image = np.array(Image.open(picture).convert("RGB"))  # uint8 [H, W, 3], of any size
    with sctx.Transmitter(peer, model) as tx:
        answer = tx.send(image)
    seen = "" if answer.snr_est_db is None else f", seen at {answer.snr_est_db:.1f} dB"
    print(f"{answer.name} ({100 * answer.confidence:.0f} %), {answer.uses} channel uses{seen}")
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])
