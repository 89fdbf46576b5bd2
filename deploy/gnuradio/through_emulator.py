"""A GNU Radio flowgraph whose channel is `channel-emu`: QPSK symbols out, faded and noisy symbols in.

Knows nothing about the channel. GNU Radio's push sink always binds and its pull source always connects, so the emulator
connects its input (`>`) and binds its output (`@`):

    channel-emu --wire cf32 --listen '>tcp://127.0.0.1:6000' --upstream '@tcp://127.0.0.1:6001' --fading rayleigh
    python3 deploy/gnuradio/through_emulator.py --samples 1000000 --out build/received.cf32

Run it with the Python that GNU Radio is installed for (Debian: `apt-get install gnuradio`, then /usr/bin/python3).

    vector source (QPSK, repeated) -> head -> push sink :6000 ~~> channel-emu ~~> :6001 pull source -> head -> file sink
"""

import argparse
import time

import numpy as np
from gnuradio import blocks, gr, zeromq


def qpsk(count: int, seed: int) -> np.ndarray:
    """Symbols of unit power: complex64 [count]."""
    bits = np.random.default_rng(seed).integers(0, 2, (count, 2)) * 2 - 1
    return ((bits[:, 0] + 1j * bits[:, 1]) / 2**0.5).astype(np.complex64)


class ThroughEmulator(gr.top_block):
    """Sends `samples` symbols of a repeated block of 4096 and stores what comes back."""

    def __init__(self, samples: int, to_emulator: str, from_emulator: str, out: str) -> None:
        super().__init__("through the emulator")
        item = gr.sizeof_gr_complex
        source = blocks.vector_source_c(qpsk(4096, seed=0).tolist(), repeat=True)
        self.connect(source, blocks.head(item, samples), zeromq.push_sink(item, 1, to_emulator))
        self._samples = samples
        self._end = blocks.file_sink(item, out)
        self.connect(zeromq.pull_source(item, 1, from_emulator), blocks.head(item, samples), self._end)

    def run_to_end(self) -> None:
        """Run until everything has come back; a pull source by itself never ends."""
        self.start()
        while self._end.nitems_read(0) < self._samples:
            time.sleep(0.02)
        self.stop()
        self.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--to-emulator", default="tcp://127.0.0.1:6000")
    parser.add_argument("--from-emulator", default="tcp://127.0.0.1:6001")
    parser.add_argument("--out", required=True, help="file for the received samples, complex64")
    given = parser.parse_args()
    ThroughEmulator(given.samples, given.to_emulator, given.from_emulator, given.out).run_to_end()
