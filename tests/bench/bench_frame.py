"""What one frame costs in Python, by stage, without sockets: `frame_cost.py`, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.bench.results import Recorder, shown

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
PROCESSES, REPEATS = 5, 300


def test_cost_of_a_frame_by_stage(tell: Callable[[str], None], figures: Recorder) -> None:
    words = [sys.executable, "-m", "tests.bench.frame_cost", str(REPEATS)]
    found = [json.loads(subprocess.run(words, capture_output=True, check=True).stdout) for _ in range(PROCESSES)]
    tell(f"\nPython of one frame of 8 KB, without sockets, us: the least of {REPEATS} x 8, median of {PROCESSES} runs")
    for stage in found[0]:
        middle = figures.add(f"frame: {stage}", "us", [one[stage] for one in found])
        tell(f"  {stage:34s} {shown(middle)}")
