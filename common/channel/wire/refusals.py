"""What does not pass: counted, told once of each kind, and answered with a NAK where a transmitter waits for it.

Knows nothing about sockets, nor why anything is refused.
"""

import logging
import math
from collections import Counter, OrderedDict
from collections.abc import Callable

from common.errors import ProtocolError
from common.protocol.frames import DataHead, encode
from common.protocol.messages import Nak, NakCode

logger = logging.getLogger(__name__)

AGAIN, TELL_AGAIN_S = 2, 10.0
"""So often a frame is refused before that is told, and how often that is told of any frame."""
_NAK_INTERVAL_S, _NAKS_AT_A_TIME = 1.0, 16
_KEPT = 1024

Frame = tuple[bytes, int, int]
"""Session, sequence number, round."""


def note(counts: Counter[str], kind: str, event: str, detail: str) -> None:
    """Count what is odd, and tell it when it happens first."""
    counts[kind] += 1
    if counts[kind] == 1:
        logger.warning(event, extra={"reason": kind, "detail": detail})


def refuse(counts: Counter[str], error: ProtocolError) -> None:
    """Count a message that does not pass, and tell of the first that has this reason."""
    note(counts, error.reason, "refused", str(error))


class Refusals:
    """The frames that were refused last. They are for somebody who waits, and not for a flood."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: OrderedDict[Frame, int] = OrderedDict()
        self._answered: dict[Frame, float] = {}
        self._tell_again_s = -math.inf

    def answer(self, head: DataHead, error: ProtocolError) -> list[bytes] | None:
        """The NAK for a frame: one per second for each frame, and so many in all, else None.

        A frame that is refused again is told.
        """
        frame, now_s = (head.session, head.seq, head.round), self._clock()
        self._times[frame] = times = self._times.pop(frame, 0) + 1
        if len(self._times) > _KEPT:
            self._times.popitem(last=False)
        if times == AGAIN and now_s >= self._tell_again_s:
            self._tell_again_s = now_s + TELL_AGAIN_S
            which = {"session": head.session.hex(), "seq": head.seq, "round": head.round}
            logger.warning("refused_again", extra={**which, "reason": error.reason, "detail": str(error)})
        self._answered = {told: until_s for told, until_s in self._answered.items() if until_s > now_s}
        if frame in self._answered or len(self._answered) >= _NAKS_AT_A_TIME:
            return None
        self._answered[frame] = now_s + _NAK_INTERVAL_S
        return encode(Nak(*frame, NakCode.BAD_SYMBOLS))
