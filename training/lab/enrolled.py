"""New classes over the real processes: a receiver learns them from pictures that it receives, and judges further ones.

Knows nothing about how classes are told apart. The pair has seen photographs alone, and the pictures are handwritten
digits: nobody trained for them, and its own answers can never be right. The transmitter is one process from first to
last, and is told nothing.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from itertools import islice
from subprocess import PIPE, Popen
from typing import Any, cast

from common.images.datasets import load_images
from training.lab.processes import START_S, Command, start_emulator, start_receiver
from training.report.figures import Curve, Panel
from training.report.progress import Advance

MODEL, RATE, AT_ONCE = "tinyimagenet100", 56, 32
SNR_DB, SEED = 10.0, 0
ADDED = (1, 4)
"""Pictures of each class that it is taught from, one time after the other."""
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What came of it. examples: of each class; images: further pictures that were asked about; before, after: share of
    them that was named rightly; course: the same after so many examples, from none on; unknown: at the end."""

    model: str
    channel: str
    snr_db: float
    symbols: int
    classes: tuple[str, ...]
    examples: int
    images: int
    before: float
    after: float
    course: tuple[tuple[int, float], ...]
    unknown: int


def steps(images: int) -> int:
    """How often `enrol` advances: pictures that are asked about, each time."""
    return (1 + len(ADDED)) * images


def enrol(asked: int, backend: str, advance: Advance) -> Enrolled:
    """asked: pictures to ask about; backend: of the transmitter. SemlinkError where anything is lost."""
    shown, further = _pictures(asked)
    with ExitStack() as running:
        receiver, upstream = start_receiver("--model", MODEL, "--control", "0", "--json")
        running.enter_context(receiver)
        emulator, port = start_emulator(upstream, "--snr", f"{SNR_DB:g}", "--seed", str(SEED), "--fading", "none")
        running.enter_context(emulator)
        words = (
            "--peer",
            f"127.0.0.1:{port}",
            "--model",
            MODEL,
            "--backend",
            backend,
            "--rate-policy",
            f"fixed:{RATE}",
        )
        link = _Link(running.enter_context(_Camera("sctx", *words, "--source", "-")), receiver)
        course, taught = [(0, link.share_right(further, advance)[0])], 0
        for more in ADDED:
            for name, pictures in shown.items():
                link.teach(name, pictures[taught : taught + more])
            taught += more
            right, unknown = link.share_right(further, advance)
            course.append((taught, right))
    return Enrolled(
        MODEL, "awgn", SNR_DB, RATE, tuple(shown), taught, len(further), course[0][1], right, tuple(course), unknown
    )


def _pictures(asked: int) -> tuple[dict[str, list[bytes]], list[tuple[str, bytes]]]:
    """Of each class those to teach it, and further ones with their class, as PNG: the digits that come with a pair."""
    from PIL import Image

    found, wanted = load_images("digits", "test"), sum(ADDED)
    shown: dict[str, list[bytes]] = {name: [] for name in NAMES}
    further: list[tuple[str, bytes]] = []
    for pixels, label in zip(found.images, found.labels.tolist(), strict=True):
        file, name = BytesIO(), NAMES[label]
        Image.fromarray(pixels[..., 0]).save(file, "PNG")
        if len(shown[name]) < wanted:
            shown[name].append(file.getvalue())
        elif len(further) < asked:
            further.append((name, file.getvalue()))
    return shown, further


class _Camera(Command):
    """A transmitter whose pictures come by its standard input."""

    begin, stdin = Popen, PIPE

    def show(self, pictures: Iterable[bytes]) -> None:
        """Hand them over."""
        pipe = cast("TextIOWrapper", self.process.stdin).buffer
        pipe.write(b"".join(pictures))
        pipe.flush()


class _Link:
    """Pictures into the camera, the receiver's answers out of it, in the order of the pictures."""

    def __init__(self, camera: _Camera, receiver: Command) -> None:
        self._camera, self._receiver, self._lines = camera, receiver, receiver.lines()
        self._control = receiver.wait_for(r"control on (\S+)").group(1)

    def teach(self, name: str, pictures: Sequence[bytes]) -> None:
        """`scrx enrol`, and the pictures that it waits for."""
        words = ("enrol", name, "--more", "--next", str(len(pictures)), "--control", self._control)
        with Command("scrx", *words) as command:
            command.wait_for("waiting for")
            self._answers(pictures)
            if command.wait(START_S):
                raise command.failure("enrol failed")

    def share_right(self, further: Sequence[tuple[str, bytes]], advance: Advance) -> tuple[float, int]:
        """The share of further pictures that are named rightly, by the head or, while there is none, by the pair; and
        how many are called unknown."""
        right = unknown = 0
        for first in range(0, len(further), AT_ONCE):
            some = further[first : first + AT_ONCE]
            for (name, _), answer in zip(some, self._answers([picture for _, picture in some]), strict=True):
                said = answer.get("heads", {}).get("enrolled", answer)["name"]
                right, unknown = right + (said == name), unknown + (said is None)
                advance()
        return right / len(further), unknown

    def _answers(self, pictures: Sequence[bytes]) -> list[dict[str, Any]]:
        self._camera.show(pictures)
        found = [json.loads(line) for line in islice(self._lines, len(pictures))]
        if len(found) < len(pictures):
            raise self._receiver.failure("ended")
        return sorted(found, key=lambda answer: answer["seq"])


def panel(found: Enrolled) -> Panel:
    """How many pictures of the new classes are named rightly, by how many had been shown."""
    counts, shares = zip(*found.course, strict=True)
    curve = Curve(f"{len(found.classes)} new classes", counts, [100 * share for share in shares])
    title = f"classes that nobody trained, {found.snr_db:g} dB"
    by_chance = Curve("by chance", counts, [100 / len(found.classes)] * len(counts))
    return Panel([curve, by_chance], "pictures of each that were enrolled", "accuracy (%)", title, from_zero=True)
