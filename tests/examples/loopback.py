"""Test your own code against a transmitter and a receiver: no sockets, no ports, no threads, the same each time.

`Loopback` is both halves and the channel in one object. Give your code its `send`, and look at what the receiver saw.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import sctx
from common.channel.spec.spec import ChannelSpec
from common.images.datasets import load_images
from training.lab.loopback import Loopback

Image = NDArray[np.uint8]


class Gate:
    """Your code: a gate that opens for one digit, where the receiver is sure enough."""

    def __init__(self, send: Callable[[Image], sctx.Answer], opens_for: str, sure: float = 0.8) -> None:
        self._send, self._opens_for, self._sure = send, opens_for, sure

    def show(self, image: Image) -> bool:
        answer = self._send(image)
        return answer.name == self._opens_for and answer.confidence >= self._sure


def main() -> dict[float, int]:
    """SNR in dB -> how often the gate opened, of the first 20 sevens of the test images."""
    digits = load_images("digits", "test")
    sevens = digits.images[digits.labels == 7][:20]
    opened = {}
    for snr_db in (-10.0, 0.0, 20.0):
        channel = ChannelSpec(snr_db=snr_db, fading="rayleigh", seed=1)
        with Loopback("digits", channel, sctx.Settings(policy="adaptive", ask_below=0.8)) as link:
            gate = Gate(link.send, opens_for="7")
            opened[snr_db] = sum(gate.show(image) for image in sevens)
            rounds = [seen.round for seen in link.answers()]
        print(f"{snr_db:5.0f} dB: opened for {opened[snr_db]:2} of 20 sevens, {len(rounds)} frames received")
    return opened


if __name__ == "__main__":
    main()
