"""Every metric of the three processes: its name, kind, meaning and label. Knows nothing about who counts or who reads.

A label takes values of a closed set (outcomes, stages, codes of the protocol), never what a peer sends.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Literal

from common.record import record

Kind = Literal["counter", "gauge", "histogram"]
PREFIX = "semlink_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@record
class Family:
    """One metric. label: the name of its only label, "" for none; bounds: of a histogram, in the unit of its name."""

    kind: Kind
    text: str
    label: str = ""
    bounds: tuple[float, ...] = ()


@record
class Spread:
    """A histogram as it stood: how many values fell to each of the bounds or below, but above the one before, and above
    all of them; and their sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Tally:
    """A histogram that is being counted. For one thread; `spread` may be asked by any."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds, self._counts, self._total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    @property
    def spread(self) -> Spread:
        """As it stands now."""
        return Spread(self._bounds, tuple(self._counts), self._total)


Value = float | Mapping[str, float] | Spread | None
"""Of a family without a label, with one, of a histogram; None: not known, and then it is left out."""

COMMON = {
    "start_time_seconds": Family("gauge", "When this process was ready to show itself, Unix time."),
    "ready": Family("gauge", "1 while /readyz says yes."),
    "snapshot_age_seconds": Family("gauge", "Age of the counts in this answer; it grows while the loop is hung."),
}
_NAKS = Family("counter", "Frames that were not taken, by code of the NAK.", "code")
TRANSMITTER = COMMON | {
    "images_total": Family("counter", "Images by what became of them.", "outcome"),
    "images_labelled_total": Family("counter", "Answered images whose class was known."),
    "images_correct_total": Family("counter", "Of those, answered with that class."),
    "symbols_total": Family("counter", "Payload symbols that the answers rest on."),
    "uses_total": Family("counter", "Channel uses: payload symbols and the pilots of every round."),
    "robust_uses_total": Family("counter", "What the same answers would have used at the most robust rate."),
    "latency_seconds": Family("histogram", "Capture of an image to its answer.", bounds=SECONDS),
    "stage_seconds_total": Family("counter", "Time of answered images by stage.", "stage"),
    "frames_sent_total": Family("counter", "Frames that were sent, repeated ones included."),
    "frames_resent_total": Family("counter", "Of those, repeated ones."),
    "in_flight": Family("gauge", "Frames without an answer."),
    "link_up": Family("gauge", "1 while the receiver is heard."),
    "link_downs_total": Family("counter", "How often the link was lost."),
    "naks_total": _NAKS,
    "snr_reported_db": Family("gauge", "Newest report of the receiver: SNR of the moment, Es/N0."),
    "snr_acted_on_db": Family("gauge", "SNR that the newest image was adapted to; absent while none is believed."),
    "report_correction_db": Family("gauge", "The middle of what reported SNRs are corrected by, as answers say."),
    "report_age_seconds": Family("gauge", "Age of the newest report."),
    "rate_symbols": Family("gauge", "Payload symbols of the newest image's rate."),
}
RECEIVER = COMMON | {
    "sessions": Family("gauge", "Transmitters that are served."),
    "frames_total": Family("counter", "Frames by what became of them.", "outcome"),
    "snr_estimated_db": Family("gauge", "Estimate of the newest frame: of the moment and on average, Es/N0.", "over"),
    "snr_error_db": Family("gauge", "Standard deviation of these estimates.", "over"),
    "queue_depth": Family("gauge", "Frames that wait for the decoder."),
    "waiting_seconds": Family("gauge", "How long work has waited with nothing decoded; 0 when idle."),
    "batch_size": Family("histogram", "Frames that were decoded together.", bounds=SIZES),
    "decode_seconds": Family("histogram", "Time that a batch took.", bounds=SECONDS),
    "queue_seconds": Family("histogram", "Arrival of a frame to the beginning of its batch.", bounds=SECONDS),
    "confidence": Family("histogram", "Confidence of answers.", bounds=SHARES),
    "handshakes_refused_total": Family("counter", "Handshakes that were refused, by code of the REJECT.", "code"),
    "naks_total": _NAKS,
    "protocol_errors_total": Family("counter", "Messages that could not be read, by reason.", "reason"),
    "unsent_total": Family("counter", "Messages whose peer was gone or did not read."),
    "workers": Family("gauge", "Worker processes that are ready; absent without --workers."),
    "worker_restarts_total": Family("counter", "Worker processes that ended; absent without --workers."),
    "batches_retried_total": Family("counter", "Batches given to a second worker; absent without --workers."),
}
EMULATOR = COMMON | {
    "messages_total": Family("counter", "Messages (on a raw wire also samples) by what became of them.", "event"),
    "talkers": Family("gauge", "Streams of transmitters that the channel knows."),
    "snr_set_db": Family("gauge", "SNR that was set, Es/N0 averaged over fading; absent without noise."),
    "doppler_set": Family("gauge", "Maximum Doppler shift that was set, cycles per symbol."),
    "snr_true_db": Family("gauge", "What the channel really did to the newest frame: its SNR; absent without noise."),
    "upstream_up": Family("gauge", "1 while the receiver is connected; absent on a raw wire."),
}
PROCESSES = {"sctx": TRANSMITTER, "channel-emu": EMULATOR, "scrx": RECEIVER}
