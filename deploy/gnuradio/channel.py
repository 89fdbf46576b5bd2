"""A GNU Radio channel in the place of `channel-emu --wire cf32`, for comparison and for blocks that only it has.

Knows nothing about who sends and who receives. It connects to a bound PUSH and binds a PUSH of its own, as
`channel-emu --wire cf32 --listen '>IN' --upstream '@OUT'` does:

    python3 deploy/gnuradio/channel.py --in tcp://127.0.0.1:6000 --out tcp://127.0.0.1:6001 --model rayleigh --snr 10

    pull source -> [ fading_model | selective_fading_model ] -> channel_model (AWGN) -> push sink
"""

import argparse

from gnuradio import blocks, channels, gr, zeromq


def noise_voltage(snr_db: float) -> float:
    """Amplitude of channel_model's noise source for signals of unit power: sqrt(N0)."""
    return 10.0 ** (-snr_db / 20.0)


def model(name: str, doppler: float, snr_db: float) -> list[gr.basic_block]:
    """The blocks of one model: pass, awgn, rayleigh (16 sinusoids), tdl (9 taps of EVA at 30.72 Ms/s, 8 sinusoids)."""
    awgn = channels.channel_model(noise_voltage(snr_db), 0.0, 1.0, [1.0], 1)
    if name == "rayleigh":
        return [channels.fading_model(16, doppler, False, 4.0, 1), awgn]
    if name == "tdl":
        delays = [ns * 0.03072 for ns in (0, 30, 150, 310, 370, 710, 1090, 1730, 2510)]
        powers = [10.0 ** (db / 10.0) for db in (0, -1.5, -1.4, -3.6, -0.6, -9.1, -7.0, -12.0, -16.9)]
        return [channels.selective_fading_model(8, doppler, False, 4.0, 1, delays, powers, 97), awgn]
    return [awgn] if name == "awgn" else [blocks.copy(gr.sizeof_gr_complex)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in", dest="source", default="tcp://127.0.0.1:6000")
    parser.add_argument("--out", dest="sink", default="tcp://127.0.0.1:6001")
    parser.add_argument("--model", choices=["pass", "awgn", "rayleigh", "tdl"], default="awgn")
    parser.add_argument("--doppler", type=float, default=1e-3, help="fd * Ts")
    parser.add_argument("--snr", type=float, default=10.0)
    given = parser.parse_args()
    top = gr.top_block("channel")
    item = gr.sizeof_gr_complex
    top.connect(
        zeromq.pull_source(item, 1, given.source),
        *model(given.model, given.doppler, given.snr),
        zeromq.push_sink(item, 1, given.sink),
    )
    top.run()
