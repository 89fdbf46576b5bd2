"""Reads what `sctx --json` prints, and asks of it what the summary does not tell: is the confidence worth anything?

Behind a transmitter, with receiver and channel running:

    sctx --peer 127.0.0.1:5556 --json | python tests/examples/read_json.py
"""

import json
import sys
from collections.abc import Iterable
from typing import Any


def main(lines: Iterable[str], sure: float = 0.9) -> dict[str, Any]:
    """lines: one JSON object each, the summary last. Accuracy (0..1) of the sure answers and of the others."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    summary: dict[str, Any] = {}
    for line in lines:
        item = json.loads(line)
        if "summary" in item:
            summary = item["summary"]
        elif item["label"] is not None:  # the truth is known
            right[item["confidence"] >= sure].append(item["answer"] == item["label"])
    for is_sure, found in right.items():
        if found:
            word = "sure" if is_sure else "unsure"
            print(f"{len(found)} {word} answers, {100 * sum(found) / len(found):.1f} % right")
    print(f"{summary['answered']} of {summary['sent']} answered, {summary['mean_uses']:.1f} channel uses each")
    return {"sure": right[True], "unsure": right[False], "summary": summary}


if __name__ == "__main__":
    main(sys.stdin)
