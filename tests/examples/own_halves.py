"""Both halves of your own over a real link: an encoder, a decoder, and what the two agree on. No network, no pair.

Sixteen symbols say how dark the rows and columns of a digit are; the receiver answers with the digit whose mean they
are nearest to. Between them may lie any channel: run `channel-emu --snr 5 --upstream 127.0.0.1:5555` and give its
port to the transmitter.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

import scrx
import sctx
from common.images.datasets import load_images
from common.pair.agreement import Agreement
from common.pair.shapes import Preprocess
from common.phy.layout import Layout

DIGITS = tuple("0123456789")
Symbols = NDArray[np.complex64]


def encode(images: NDArray[np.uint8], told_db: float) -> Symbols:
    """images: uint8 [B, 8, 8, 1]; told_db: the SNR by the last report, NaN before. complex64 [B, 16], unit power."""
    grey = images[..., 0].astype(np.float32)
    dark = np.concatenate((grey.mean(1), grey.mean(2)), -1)
    dark -= dark.mean(-1, keepdims=True)
    return (dark / np.sqrt(np.square(dark).mean(-1, keepdims=True))).astype(np.complex64)


class Nearest:
    """The decoder, which has learnt the mean of each digit."""

    def __init__(self) -> None:
        train = load_images("digits", "train")
        sent = encode(train.images, np.nan)
        self.means = np.stack([sent[train.labels == digit].mean(0) for digit in range(len(DIGITS))])

    def __call__(self, symbols: Symbols, gamma: NDArray[np.float32], tasks: object) -> list[dict[str, object]]:
        """symbols: complex64 [B, 16], equalised; gamma: float32 [B, 16], their linear SNR; an answer for each."""
        apart = np.square(np.abs(symbols[:, None] - self.means)).sum(-1)  # [B, 10]
        sure = 1 / np.exp((apart.min(-1, keepdims=True) - apart) * gamma.mean(-1, keepdims=True)).sum(-1)
        return [
            {"classify": {"index": int(one), "name": DIGITS[one], "confidence": float(confidence)}}
            for one, confidence in zip(apart.argmin(-1), sure, strict=True)
        ]


def agreed(decoder: Nearest) -> Agreement:
    """What both ends hold. id: of all that must be the same at both, here what was learnt."""
    layout, preprocess = Layout((16,), pilots=8), Preprocess(8, 8, 1, (0.0,), (1.0,))
    learnt = hashlib.sha256(decoder.means.tobytes()).hexdigest()
    return Agreement("rows-and-columns", learnt, layout, preprocess, DIGITS, ("classify",), None)


def main(images: int = 100) -> float:
    """Share of the test digits that are answered right."""
    decoder, test = Nearest(), load_images("digits", "test")
    with scrx.Receiver("127.0.0.1:0", agreed(decoder), decoder=decoder) as rx:
        peer = rx.address.removeprefix("tcp://")
        with sctx.Transmitter(peer, agreed(decoder), encoder=encode) as tx:
            right = [tx.send(test.images[k]).answer == test.labels[k] for k in range(images)]
    print(f"{sum(right)} of {images} digits are right")
    return sum(right) / images


if __name__ == "__main__":
    main()
