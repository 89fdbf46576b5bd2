"""Receiver, channel emulator and transmitter as processes of their own, for one question after the other.

Knows nothing about what is asked or what a right answer would be.
"""

import json
import subprocess
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from common.channel.spec.spec import CHANNEL, ChannelSpec
from common.errors import ConfigError, LinkDown, PeerRejected, SemlinkError
from training.crossing.subjects import Question
from training.lab.processes import Command, start_emulator

ERRORS: dict[int, type[SemlinkError]] = {2: ConfigError, 3: PeerRejected, 4: LinkDown}
"""By exit code."""


class Half(Command):
    """One end: `python -m training.crossing.half`, asked through its standard input."""

    stdin: ClassVar[int] = subprocess.PIPE

    def __init__(self, role: str) -> None:
        super().__init__("python", "-m", "training.crossing.half")
        self.role = role

    def say(self, **request: Any) -> None:
        """Ask without waiting for the reply."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def hear(self) -> dict[str, Any]:
        """The reply. Raises what the other process raised."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._ended()
        return understood(self.role, line)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Both."""
        self.say(**request)
        return self.hear()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def _ended(self) -> SemlinkError:
        self.process.wait()
        self._reader.join(5)
        return SemlinkError(f"{self.role} ended: {self.said[-300:] or 'it said nothing'}")


def understood(role: str, line: str) -> dict[str, Any]:
    """A reply of the end of this role. Raises what that raised."""
    reply: dict[str, Any] = json.loads(line)
    if "error" in reply:
        raise ERRORS.get(reply["code"], SemlinkError)(f"{role}: {reply['error']}")
    return reply


class LinkOfThree:
    """As a context manager it leaves no process behind. about: kind and fields of the subject, see `subjects.py`."""

    def __init__(self, about: tuple[str, dict[str, Any]]) -> None:
        self._halves: list[Half] = []
        try:
            self._halves = [Half("receiver"), Half("transmitter")]
            for half in self._halves:
                half.say(about=about)
            for half in self._halves:
                half.hear()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End both processes."""
        for half in self._halves:
            half.stop()

    @property
    def alive(self) -> bool:
        """Whether further questions can be asked."""
        return all(half.alive for half in self._halves)

    def answers(self, question: Question, channel: ChannelSpec) -> NDArray[np.int64]:
        """The class that came back for each image, int64 [N]; -1: none did. Raises SemlinkError."""
        receiver, transmitter = self._halves
        emulator, port = start_emulator(receiver.ask(receive=question)["port"], *flags_of(channel))
        with emulator:
            try:
                found = np.array(transmitter.ask(send=question, port=port)["answers"], np.int64)
            except PeerRejected:
                why = "what it draws or fits must come out the same each time, so seed it"
                raise PeerRejected(
                    f"the receiver refused: each end made this codec, and not the same one; {why}"
                ) from None
            except SemlinkError:
                receiver.ask(failed=True)  # what went wrong there is nearer to the cause
                raise
            if (found < 0).any():
                receiver.ask(failed=True)
            return found


def flags_of(channel: ChannelSpec) -> list[str]:
    """The flags by which `channel-emu` is this channel."""
    set_ = [(one, getattr(channel, name)) for name, one in CHANNEL.items()]
    return [word for one, value in set_ if value != one.default for word in (one.flag, str(value))]
