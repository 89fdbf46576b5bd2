"""Prints, as JSON, million samples per CPU-second of GNU Radio's channel blocks. Run by bench_channel.py.

Needs the Python that GNU Radio is installed for. Knows nothing about this project's channel.
"""

import json
import sys
import time

from gnuradio import blocks, channels, gr


def rate(samples: int, *chain: gr.basic_block) -> float:
    """A null source through the blocks into a null sink; CPU time of all threads."""
    top, item = gr.top_block(), gr.sizeof_gr_complex
    top.connect(blocks.null_source(item), blocks.head(item, samples), *chain, blocks.null_sink(item))
    begun = time.process_time()
    top.run()
    return samples / (time.process_time() - begun) / 1e6


def awgn() -> gr.basic_block:
    return channels.channel_model(10**-0.5, 0.0, 1.0, [1.0], 1)


if __name__ == "__main__":
    scale = float(sys.argv[1])
    delays = [i * 1.373 for i in range(12)]
    amplitudes = [10.0 ** (-i / 20.0) for i in range(12)]
    print(json.dumps({
        "awgn": rate(int(4e6 * scale), awgn()),
        "rayleigh": rate(int(1e6 * scale), channels.fading_model(16, 1e-3, False, 4.0, 1), awgn()),
        "tdl": rate(
            int(2e5 * scale), channels.selective_fading_model(8, 1e-4, False, 4.0, 1, delays, amplitudes, 32), awgn()
        ),
        "tdl 12 filter taps": rate(
            int(3e5 * scale), channels.selective_fading_model(8, 1e-4, False, 4.0, 1, delays, amplitudes, 12), awgn()
        ),
    }))  # fmt: skip
