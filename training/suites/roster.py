"""All systems of a suite, by name. Knows nothing about places; what cannot be had is a system that says why."""

from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import ConfigError, SemlinkError
from common.pair.manifest import find_pair
from training.baselines import label_code, picture_codes
from training.systems.bench import Bench
from training.systems.bounds import FanoBound, SimplexBound
from training.systems.ends import Ends
from training.systems.ours import VARIANTS, Ours, trained_otherwise
from training.systems.system import Measured, NotThere, Place, System
from training.systems.teacher_alone import TeacherAlone
from training.systems.with_feedback import OursAdaptive
from training.trained import learned

NAMES = (
    "ours", "ours-adaptive", "label-code", "pq-code", "separate", "jpeg-ldpc", "webp-ldpc", "dt-jscc", "vfe",
    "no-distillation", "online-distillation", "never-told", "teacher", "simplex-bound", "fano-bound",
)  # fmt: skip
"""Systems that every suite has, in the order of its tables."""
OURS, LABEL = "ours", "label-code"
"""What all are compared with."""
OTHERS: tuple[Callable[[Bench], Sequence[System]], ...] = (label_code.systems, picture_codes.systems, learned.systems)
"""Rooms of systems that are no pairs of ours."""


class Absent(System):
    """Stands where a system would, and says everywhere why it is not there."""

    def __init__(self, name: str, why: str) -> None:
        self.name, self._why = name, why

    def measure(self, place: Place, stream: int, seed: int) -> Measured:
        """Always NotThere."""
        raise NotThere(self._why)

    def ends(self, place: Place, stream: int, seed: int) -> Ends:
        """Always NotThere."""
        raise NotThere(self._why)


def roster(bench: Bench, only: Sequence[str] = (), more: Sequence[System] = ()) -> dict[str, System]:
    """Name -> system, in the order of NAMES. only: these alone, none for all; more: systems beside the suite's own.

    ConfigError for a name that there is not, or that two have.
    """
    found = {one.name: one for make in (_of_pairs, *OTHERS) for one in make(bench)}
    for one in more:
        if one.name in {*NAMES, *found}:
            raise ConfigError(f"two systems are called '{one.name}': give a codec another `name`, or a pair's folder")
        found[one.name] = one
    order = [*NAMES, *(name for name in found if name not in NAMES)]
    if unknown := [name for name in only if name not in order]:
        raise ConfigError(f"--only {unknown[0]}: there are {', '.join(order)}")
    wanted = {*(only or order), *(one.name for one in more)}
    return {name: found.get(name) or Absent(name, "not in this version") for name in order if name in wanted}


def _of_pairs(bench: Bench) -> list[System]:
    ours = Ours(bench)
    systems: list[System] = [ours, OursAdaptive(bench), Ours(bench, "never-told", told=False), TeacherAlone(bench)]
    systems += [SimplexBound(bench), FanoBound(bench)]
    for name in VARIANTS:
        try:
            systems.append(trained_otherwise(bench, name))
        except (NotThere, SemlinkError) as why:
            systems.append(Absent(name, str(why)))
    return systems


def of_second_pair(bench: Bench, given: str) -> list[System]:
    """`ours` of another pair on the same images, and its own decision as a label: for the same tables and figure.

    given: as `--pair` names it, which is what the systems are called after. ConfigError where it is of other images.
    """
    try:
        other = bench.of(find_pair(given))
    except NotThere as why:
        raise ConfigError(f"--pair {given}: {why}") from None
    title = Path(given).name
    return [Ours(other, f"{OURS}:{title}"), SimplexBound(other, f"{SimplexBound.name}:{title}")]
