"""How long to go on without getting anywhere. Pure: every call carries `now` (monotonic ns).

A frame that is answered, or given up for good, is progress. What a receiver may say as often as it likes is not: PONG,
NAK, BYE, answers to nothing. To be accepted is progress once, since after an outage answers need their time.
"""


class Patience:
    """Runs out `limit_s` after the last progress, as long as something is wanted."""

    def __init__(self, limit_s: float, now: int) -> None:
        self._limit_ns = limit_s * 1e9
        self._since_ns, self._accept_counts = now, True

    def advanced(self, now: int) -> None:
        """Something was reached, or nothing is wanted."""
        self._since_ns, self._accept_counts = now, True

    def accepted(self, now: int) -> None:
        """The receiver took us."""
        if self._accept_counts:
            self._since_ns, self._accept_counts = now, False

    def is_over(self, now: int) -> bool:
        """Whether it has run out."""
        return now - self._since_ns > self._limit_ns
