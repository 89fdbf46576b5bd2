"""One end of the link as a process of its own, which makes its half from scratch: `python -m training.crossing.half`.

Told on standard input what to be, an object a line, each answered by one; it ends when standard input does:

    {"about": [KIND, FIELDS]}              what is asked about (`subjects.py`)  -> {}
    {"receive": QUESTION}                  a receiver for it                    -> {"port": on 127.0.0.1}
    {"send": QUESTION, "port": PORT}       all images to an emulator            -> {"answers": [class or -1: none]}
    {"failed": true}                       whether the receiver did             -> {}, or its error

An error is {"error": one line, "code": exit code}. Knows nothing about the other end or the channel.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from common.errors import SemlinkError
from common.pair.device import limit_threads
from scrx.receiver import Receiver
from sctx.capture.source import Capture
from sctx.outcomes import Answer
from sctx.rate.decision import Decision
from sctx.transmitter import Transmitter
from training.crossing.of_suites import KINDS
from training.crossing.subjects import Question, Subject
from training.systems.ends import Ends
from training.systems.system import NotThere


class Told(Transmitter):
    """A transmitter that is told the SNR of the experiment, where that says one, in place of what was reported."""

    def __init__(self, port: int, ends: Ends) -> None:
        rates = ends.agreement.layout.rates
        self._highest = len(rates) - 1 if ends.most is None else rates.index(ends.most)
        self._told_db, self._words = ends.told_db, ends.words
        super().__init__(f"127.0.0.1:{port}", ends.agreement, ends.settings, encoder=ends.encode)

    def _decide(self, air_start: int, now_ns: int) -> Decision:
        decision = super()._decide(air_start, now_ns)
        rate = min(decision.rate, self._highest)
        if self._told_db is None:
            return Decision(rate, decision.told_snr_db, decision.words)
        return Decision(rate, self._told_db, self._words)


class Half:
    """Either end; which one, the requests say."""

    def __init__(self) -> None:
        self._subject: Subject | None = None
        self._receiver: Receiver | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a request gives. Raises SemlinkError, NotThere."""
        calls: dict[str, Callable[..., dict[str, Any]]] = {
            "about": self._about, "receive": self._receive, "send": self._send, "failed": self._failed,
        }  # fmt: skip
        (name, first), *more = request.items()
        return calls[name](first, **dict(more))

    def _about(self, what: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        kind, fields = what
        self._subject = KINDS[kind](**fields)
        return {}

    def _receive(self, question: Question) -> dict[str, Any]:
        assert self._subject is not None
        ends = self._subject.ends(question)
        if self._receiver is not None:
            self._receiver.close()
        self._receiver = Receiver("127.0.0.1:0", ends.agreement, decoder=ends.decode)
        return {"port": int(self._receiver.address.rpartition(":")[2])}

    def _failed(self, _: bool) -> dict[str, Any]:
        if self._receiver is None:
            return {}
        if self._receiver.fault:
            raise SemlinkError(f"decoding failed: {self._receiver.fault}")
        for answer in self._receiver.answers(timeout_s=0.0):
            if answer is None:
                break
        return {}

    def _send(self, question: Question, port: int) -> dict[str, Any]:
        assert self._subject is not None
        images = self._subject.images
        answers = [-1] * len(images)
        with Told(port, self._subject.ends(question)) as tx:
            for outcome in tx.run(Capture(index, image, None, 0) for index, image in enumerate(images)):
                if isinstance(outcome, Answer):
                    answers[outcome.index] = outcome.answer
        return {"answers": answers}


def serve(half: Half, requests: TextIO, replies: TextIO) -> None:
    """Answer until there are no more requests."""
    for line in requests:
        try:
            reply = half.answer(json.loads(line))
        except (SemlinkError, NotThere) as error:
            reply = {"error": " ".join(str(error).split()), "code": getattr(error, "exit_code", 1)}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def main() -> int:
    """What a codec prints must not come between the replies: it goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    limit_threads(1)
    try:
        serve(Half(), sys.stdin, replies)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
