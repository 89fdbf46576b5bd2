"""What benches measured, as JSON: figures with their intervals, the commit, the machine. Knows nothing about benches.

A figure is a number over samples (sets of processes, rounds); its 95 % interval is a bootstrap over them. A file holds
one run of `make bench`; `python -m tests.bench.keep` puts it into `history/`, `python -m tests.bench.compare` compares
two.
"""

import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.files import write_atomic
from common.typed import decode, parse

ROOT = Path(__file__).parents[2]
BUILD, HISTORY = ROOT / "build" / "bench", Path(__file__).with_name("history")
DRAWS = 1000
FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "amx_tile", "asimd", "sve")
"""Of a processor's instructions, those that decide how fast arrays are."""
LIBRARIES = "numpy", "pyzmq", "msgpack"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. low, high: ends of its 95 % interval, None where one run cannot tell. better: which way.

    samples: the same number of each set of processes or round.
    """

    name: str
    unit: str
    better: Literal["less", "more"]
    value: float
    low: float | None
    high: float | None
    samples: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.better not in ("less", "more"):
            raise ValueError(f"better = {self.better} is neither less nor more")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"{self.name} has half an interval")
        if not all(map(math.isfinite, (self.value, self.low or 0.0, self.high or 0.0, *self.samples))):
            raise ValueError(f"{self.name} is not a number")


@dataclass(frozen=True, slots=True)
class Machine:
    """What it ran on; `flags`: which of `FLAGS` its processor has."""

    cpu: str
    cores: int
    flags: tuple[str, ...]
    versions: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Short, for the name of a file."""
        fast = next((flag for flag in ("avx512f", "avx2", "sve", "asimd") if flag in self.flags), "plain")
        return re.sub(r"[^a-z0-9]+", "-", f"{self.cpu} {self.cores} cores {fast}".lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of benches. changed: files differed from the commit. load: of one minute, as it began."""

    commit: str
    changed: bool
    date: str
    load: float
    machine: Machine
    figures: tuple[Figure, ...]
    format: int = 1

    def __post_init__(self) -> None:
        if self.format != 1:
            raise ValueError(f"format {self.format} is not known here")

    @property
    def name(self) -> str:
        """A file's name: one for each commit and machine."""
        return f"{self.commit[:12]}-{self.machine.slug}.json"

    def write(self, path: Path) -> None:
        """Write it, with each figure on a line."""
        head = json.dumps({key: value for key, value in asdict(self).items() if key != "figures"}, indent=1)
        lines = ",\n".join(f"  {json.dumps(asdict(figure))}" for figure in self.figures)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, f'{head[:-2]},\n "figures": [\n{lines}\n ]\n}}\n'.encode())


def read(path: Path) -> Run:
    """A file that `Run.write` wrote. Raises DataError, in a line."""
    try:
        return decode(Run, parse(path.read_bytes()))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path} is no record of a bench: {error}") from None


@dataclass(slots=True)
class Recorder:
    """Figures as they are measured. `make bench` makes one for all benches and writes what it holds at the end."""

    figures: list[Figure] = field(default_factory=list)
    begun: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    load: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))

    def add(
        self,
        name: str,
        unit: str,
        samples: Sequence[float] | Sequence[Sequence[float]],
        statistic: Callable[[Any], Any] = np.median,
        better: Literal["less", "more"] = "less",
    ) -> Figure:
        """Note the `statistic` over samples: one for each set or round, or all that was measured in each."""
        sets = [np.atleast_1d(np.asarray(one, float)) for one in samples]
        value, low, high = float(statistic(np.concatenate(sets))), *interval(sets, statistic)
        return self.note(Figure(name, unit, better, value, low, high, tuple(float(statistic(one)) for one in sets)))

    def note(self, figure: Figure) -> Figure:
        """Note what was computed elsewhere."""
        self.figures = [one for one in self.figures if one.name != figure.name] + [figure]
        return figure

    def finish(self) -> Run:
        """What was measured until now."""
        return Run(*commit(), self.begun, self.load, machine(), tuple(self.figures))


def interval(
    sets: Sequence[NDArray[np.float64]], statistic: Callable[[Any], Any]
) -> tuple[float, float] | tuple[None, None]:
    """The ends of the 95 % interval of `statistic` over all values, by a bootstrap over sets; None of a single one."""
    if len(sets) < 2:
        return None, None
    draws = np.random.default_rng(0).integers(len(sets), size=(DRAWS, len(sets)))
    low, high = np.percentile([statistic(np.concatenate([sets[at] for at in draw])) for draw in draws], (2.5, 97.5))
    return float(low), float(high)


def shown(figure: Figure) -> str:
    """A figure and its interval, for people."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    return f"{figure.value:.4g} ({figure.low:.4g} .. {figure.high:.4g})"


def percentile_99(values: NDArray[np.float64]) -> float:
    """Of all values together."""
    return float(np.percentile(values, 99))


def commit() -> tuple[str, bool]:
    """The commit that lies here, and whether files differ from it; "unknown" where there is no git."""
    words = [["git", "rev-parse", "HEAD"], ["git", "status", "--porcelain", "--untracked-files=no"]]
    try:
        found = [subprocess.run(one, cwd=ROOT, capture_output=True, text=True, check=True).stdout for one in words]
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return found[0].strip(), bool(found[1].strip())


def machine() -> Machine:
    """This one."""
    return describe(Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else "")


def describe(cpuinfo: str) -> Machine:
    """A machine by what Linux says of its processors; by what Python knows where that says nothing."""
    about = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", cpuinfo, re.M))
    flags = set((about.get("flags") or about.get("Features") or "").split())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cpu = about.get("model name") or platform.processor() or platform.machine()
    versions = f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)
    return Machine(cpu.strip(), cores, tuple(flag for flag in FLAGS if flag in flags), versions)
