"""The true SNR of a frame that is still to be sent, asked of the emulator's control port. For experiments only.

Knows nothing about rates. No transmitter on a real channel has this: it bounds what any feedback can be worth.
"""

from common.channel.control import ControlClient
from common.channel.private import control_to_ask
from sctx.belief import Report

TIMEOUT_S = 5.0


class Genie:
    """A connection to the control port: "PORT" or "HOST:PORT" as `channel-emu --control` had it.

    Raises ConfigError for an address that is none.
    """

    def __init__(self, address: str) -> None:
        self._control = ControlClient(control_to_ask(address, "genie_from"), "genie_from")

    def report(self, stream: int, air_start: int, symbols: int, now_ns: int, session: bytes | None = None) -> Report:
        """The truth about `symbols` symbols from `air_start` on, as if it had been reported without error or delay.

        Raises LinkDown where the emulator does not answer within 5 s; a request that a restart of it swallowed is not
        asked again.
        """
        place = {"stream": stream, "air_start": air_start, "symbols": symbols, "round": 0, "session": session}
        snr_db = self._control.ask({"op": "truth", **place}, TIMEOUT_S)["snr_inst_db"]
        return Report.exact(float("inf") if snr_db is None else float(snr_db), air_start, now_ns)

    def close(self) -> None:
        """Close the connection."""
        self._control.close()
