"""The fields of DATA and RESULT, which nearly all messages are, checked in one expression each: quick, and without a
reason. Knows nothing about the other kinds; whatever is not sound here is looked at by the checks of `fields.py`.

Each takes the unpacked fields, as many as it names, and returns them as the message holds them; None: not sound.
"""

from typing import Any

from common.protocol.messages import Status

_STATUS = {int(status): status for status in Status}


def data(fields: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The header of DATA."""
    session, seq, stream, air, round_, layout, start, rate, symbols, age, deadline, ask = fields
    if (
        type(session) is bytes and len(session) == 16
        and type(seq) is int and 0 <= seq <= 0xFFFF_FFFF
        and type(stream) is int and 0 <= stream <= 0xFFFF_FFFF
        and type(air) is int and 0 <= air <= 0xFFFF_FFFF_FFFF_FFFF
        and type(round_) is int and 0 <= round_ <= 0xFF
        and type(layout) is int and 0 <= layout <= 0xFFFF
        and type(start) is int and 0 <= start <= 0xFF
        and type(rate) is int and 0 <= rate <= 0xFF
        and type(symbols) is int and 0 <= symbols <= 0xFFFF_FFFF
        and type(age) is int and 0 <= age <= 0xFFFF
        and type(deadline) is int and 0 <= deadline <= 0xFFFF
        and type(ask) is int and 0 <= ask <= 0xFF
    ):  # fmt: skip
        return fields
    return None


def data_head(fields: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The first five fields of DATA, which an emulator reads."""
    session, seq, stream, air, round_ = fields
    if (
        type(session) is bytes and len(session) == 16
        and type(seq) is int and 0 <= seq <= 0xFFFF_FFFF
        and type(stream) is int and 0 <= stream <= 0xFFFF_FFFF
        and type(air) is int and 0 <= air <= 0xFFFF_FFFF_FFFF_FFFF
        and type(round_) is int and 0 <= round_ <= 0xFF
    ):  # fmt: skip
        return fields
    return None


def result(fields: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The header of RESULT. NaN is in no range."""
    session, seq, round_, status, inst, avg, inst_error, avg_error, fd, air, confidence, queue, decode, credits = fields
    if (
        type(session) is bytes and len(session) == 16
        and type(seq) is int and 0 <= seq <= 0xFFFF_FFFF
        and type(round_) is int and 0 <= round_ <= 0xFF
        and (type(status) is int or type(status) is Status) and status in _STATUS
        and (inst is None or (type(inst) is float and -100.0 <= inst <= 100.0))
        and (avg is None or (type(avg) is float and -100.0 <= avg <= 100.0))
        and (inst_error is None or (type(inst_error) is float and -100.0 <= inst_error <= 100.0))
        and (avg_error is None or (type(avg_error) is float and -100.0 <= avg_error <= 100.0))
        and (fd is None or (type(fd) is float and 0.0 <= fd <= 0.5))
        and type(air) is int and 0 <= air <= 0xFFFF_FFFF_FFFF_FFFF
        and type(confidence) is float and 0.0 <= confidence <= 1.0
        and type(queue) is int and 0 <= queue <= 0xFFFF_FFFF
        and type(decode) is int and 0 <= decode <= 0xFFFF_FFFF
        and type(credits) is int and 0 <= credits <= 0xFF
    ):  # fmt: skip
        return (session, seq, round_, _STATUS[status], *fields[4:])
    return None


def result_head(fields: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The first ten fields of RESULT, which an emulator reads where it impairs reports."""
    whole = result((*fields, 0.0, 0, 0, 0))
    return whole and whole[:10]
