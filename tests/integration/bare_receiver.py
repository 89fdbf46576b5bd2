"""A whole receiver whose decoder is no network: `python bare_receiver.py PORT [MS_PER_BATCH [MAX_BATCH]]`.

Starts without torch and takes exactly as long over a batch as it is told to. Serves the shipped digits pair and answers
"0" to everything. On SIGTERM it drains and says what it counted.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.shutdown import StopFlag
from scrx.receiver import Receiver

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.all_on import settings, shown


def main() -> None:
    port, ms, most = [*sys.argv[1:], *("0", "32")[len(sys.argv) - 2 :]]
    stop = StopFlag()
    batches: list[tuple[float, float]] = []

    def answer(symbols: Any, gamma: Any, tasks: Sequence[Sequence[str]]) -> list[Any]:
        begun = time.monotonic()
        time.sleep(float(ms) / 1e3)
        batches.append((begun, time.monotonic()))
        return [{"classify": {"index": 0, "name": "0", "confidence": 1.0}} for _ in tasks]

    mine = settings(insecure=":" in port, max_batch=int(most))
    with Receiver(port, "digits", mine, decoder=answer) as rx, shown(rx):
        print(f"listening on {rx.address}", file=sys.stderr, flush=True)
        while not stop:
            time.sleep(0.02)
    assert "torch" not in sys.modules
    took = sorted(end - begin for begin, end in batches) or [0.0]
    told = {"answered": rx.answered, "expired": rx.expired, "failed": rx.failed, "batches": len(batches)}
    told |= {"busy_s": sum(took), "span_s": batches[-1][1] - batches[0][0] if batches else 0.0}
    print(json.dumps({**told, "batch_p99_ms": 1e3 * took[int(0.99 * (len(took) - 1))]}))


main()
