"""What transmitters compute: in turn, image by image; who takes longer is said to take longer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.findings.claim import EVEN, LOST, OPEN, WON, of_times
from training.suites.computing import OURS, PACKED, TEACHER, WARM, Transmit, beside_ours, timed, transmitters
from training.systems.bench import Bench


def test_systems_take_turns_and_one_that_computes_more_takes_longer() -> None:
    called: list[str] = []

    def working(name: str, rounds: int) -> tuple[int, Transmit]:
        def transmit(image: NDArray[np.uint8]) -> int:
            assert image.shape == (1, 4, 4, 1)
            called.append(name)
            return sum(k * k for k in range(rounds))

        return 16, transmit

    ways = {OURS: working(OURS, 20_000), "more": working("more", 100_000)}
    took = timed(ways, np.zeros((WARM + 30, 4, 4, 1), np.uint8))
    rows = {one["name"]: one for one in beside_ours(took, dict.fromkeys(ways, 16))}
    assert called == [OURS, "more"] * (WARM + 30)
    assert rows[OURS]["ratio"] == [1.0, 1.0, 1.0]
    assert rows["more"]["ratio"][1] > 2.5


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(1.1, 1.3, WON), (0.4, 0.9, LOST), (0.99, 1.01, EVEN), (0.9, 1.2, OPEN)]
)  # fmt: skip
def test_a_verdict_on_times(low: float, high: float, verdict: str) -> None:
    assert of_times(low, high) == verdict


def test_all_that_send_something_have_a_transmitter_and_the_others_a_reason() -> None:
    ways, absent = transmitters(Bench.open("quick", "digits", "digits", most=3))
    assert {OURS, "vfe", "dt-jscc", "jpeg-ldpc", f"jpeg-ldpc{PACKED}", "webp-ldpc", TEACHER} <= set(ways)
    assert "label-code" not in ways, "it is our own encoder"
    assert all(absent.values())
    image = Bench.open("quick", "digits", "digits", most=1).images
    for name, (n, transmit) in ways.items():
        sent = np.asarray(transmit(image)) if name not in (TEACHER,) else None
        assert sent is None or "packed" in name or sent.shape[1] >= (n or 0)
