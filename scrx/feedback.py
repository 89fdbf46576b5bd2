"""A frame's outcome -> the RESULT that goes back: answer, channel report, confidence, credit. Pure."""

from collections.abc import Sequence

from common.protocol.messages import Result, Status
from scrx.decoding.tasks import Outputs, attainable_of, confidence_of
from scrx.demodulation.tracker import ChannelEstimate
from scrx.sessions.table import Work


def answer(
    work: Work, outputs: Outputs, estimate: ChannelEstimate | None, queue_ns: int, decode_ns: int, credits: int,
    attainable: Sequence[float] = (),
) -> Result:  # fmt: skip
    """The RESULT of a decoded frame. Times in ns since its arrival and for its batch; estimate: None without pilots.

    attainable: confidence of each class at most, however much is received (`common.pair.certainty`); more is asked for
    by what is missing of that, since symbols do not help a decision that is itself unsure. Empty: 1 each.
    """
    data = work.data
    confidence = confidence_of(outputs)
    low = data.ask_below > 0 and 100.0 * confidence < data.ask_below * attainable_of(outputs, attainable)
    status = Status.LOW_CONFIDENCE if low else Status.OK
    inst, avg, inst_error, avg_error, fd = None, None, None, None, None
    if estimate is not None:
        inst, avg, fd = _db(estimate.snr_inst_db), _db(estimate.snr_avg_db), estimate.fd
        inst_error, avg_error = _db(estimate.inst_error_db), _db(estimate.avg_error_db)
    return Result(
        data.session, data.seq, data.round, status, inst, avg, inst_error, avg_error, fd, data.air_start,
        min(max(confidence, 0.0), 1.0), _us(queue_ns), _us(decode_ns), credits,
        {name: dict(output) for name, output in outputs.items()},
    )  # fmt: skip


def no_answer(work: Work, status: Status, queue_ns: int, credits: int) -> Result:
    """The RESULT of a frame that was not decoded: EXPIRED or FAILED, without a channel report."""
    data = work.data
    return Result(
        data.session, data.seq, data.round, status, None, None, None, None, None, data.air_start, 0.0,
        _us(queue_ns), 0, credits, {},
    )  # fmt: skip


def _db(value: float) -> float:
    """Within what a RESULT can say: without noise, strong pilots look like any SNR."""
    return -100.0 if value < -100.0 else min(value, 100.0)


def _us(duration_ns: int) -> int:
    return min(max(duration_ns // 1000, 0), 0xFFFFFFFF)
