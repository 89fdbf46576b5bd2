"""A receiver in a program of one's own: counts what it is shown, and stops after so many answers.

In two terminals:

    python tests/examples/receive.py 5555 100
    sctx --peer 127.0.0.1:5555 --count 100
"""

import sys
from collections import Counter

import scrx


def main(listen: str = "5555", answers: int = 100, model: str = "digits") -> Counter[str]:
    """listen: PORT or ADDRESS:PORT. The names that were answered, and how often."""
    seen: Counter[str] = Counter()
    with scrx.Receiver(listen, model) as rx:
        print(f"listening on {rx.address}", flush=True)
        for answer in rx.answers():
            if answer is not None and answer.final:  # else a further round of the same image was asked for
                seen[answer.name] += 1
            if seen.total() >= answers:
                break
    print(", ".join(f"{name}: {count}" for name, count in seen.most_common()))
    return seen


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
