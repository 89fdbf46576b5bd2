"""What the closed loop is asked: experiments and systems -> points, which differ in nothing but what is compared.

Knows nothing about how a point is run. A system is a policy, its goal and what decides beside it:

    robust   average   adaptive   genie   fixed:SYMBOLS     policies of `sctx --rate-policy`, goal `within`
    fixed                 the best single rate at the average SNR, by the pair's own table and the price of a use
    POLICY@POINTS         goal `within` so many points;   POLICY@price: accuracy less lambda for each use
    POLICY+ir             a bolder first round, and increments until the confidence suffices
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from common.channel.spec.ways import FeedbackSpec
from common.errors import ConfigError
from common.flags import numbers
from common.pair.manifest import Manifest, canonical
from common.pair.shapes import Accuracy
from common.phy.layout import Layout
from sctx.rate.belief import Report, believe
from sctx.rate.policy import Goal, RatePolicy

EXPERIMENTS = ("snr", "delay", "loss", "bits", "bias", "pilots")
SYSTEMS = ("robust", "average", "adaptive", "adaptive+ir", "genie")
LOOP = ("robust", "fixed", "average", "adaptive", "adaptive@price", "genie")
"""What is compared in the experiments on feedback and pilots."""
BLIND = ("robust", "genie", "fixed")
"""Policies that take no notice of reports: they are run once for all kinds of feedback."""
SNRS_DB, LOSSES, BITS, PILOTS = (0, 5, 10, 15, 20), (0.0, 0.1, 0.2, 0.3), (3, 4, 5, 6, 8), (2, 4, 8, 16)
BIASES_DB = (-12, -6, -3, 0, 3, 6, 12)
DELAYS = (0, 1, 3, 9, 19, 39)
"""Of the reports, in slots on top of the one that every report has: fd * tau from 0.005 to 0.2."""
FRAME_DOPPLER, SLOW_DOPPLER = 0.01, 0.005
"""Doppler cycles per frame slot; the slower one lets `delay` begin at fd * tau = 0.005."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run. goal: as of `sctx.rate.policy.Goal`; ask_below: confidence below which more is asked for, 0: never."""

    model_id: str
    pilots: int
    policy: str
    goal: Goal
    ask_below: float
    snr_db: float
    frame_doppler: float
    """Doppler cycles per slot."""
    feedback: FeedbackSpec
    frames: int
    stream: int
    seed: int

    @property
    def id(self) -> str:
        return hashlib.sha256(canonical(asdict(self))).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    """A point's place in a comparison: which experiment, at which abscissa, under which name."""

    experiment: str
    x: float
    system: str
    point: Point


def pilot_counts(options: dict[str, Any]) -> list[int]:
    """Every number of pilots that the experiments need."""
    swept = () if "pilots" not in options["experiments"].split(",") else PILOTS[1:3] if options["quick"] else PILOTS
    return sorted({options["pilots"], *swept})


def plan(pairs: dict[int, Manifest], options: dict[str, Any]) -> list[Entry]:
    """Every point of every experiment that the options ask for, each once."""
    asked = options["experiments"].split(",")
    if unknown := set(asked) - set(EXPERIMENTS):
        raise ConfigError(f"--experiments {min(unknown)}: choose of {', '.join(EXPERIMENTS)}")
    snrs_db = numbers("snr", options["snr"], float)
    if not all(map(math.isfinite, (*snrs_db, options["at"]))):
        raise ConfigError("--snr and --at take numbers of dB")
    xs: dict[str, Sequence[float]] = {
        "snr": snrs_db,
        "delay": [SLOW_DOPPLER * (1 + slots) for slots in DELAYS],
        "loss": LOSSES,
        "bits": BITS,
        "bias": BIASES_DB,
    }
    few = slice(None, None, 2) if options["quick"] else slice(None)
    swept = {**{name: values[few] for name, values in xs.items()}, "pilots": [c for c in PILOTS if c in pairs]}
    systems = {one: options["systems" if one == "snr" else "loop_systems"].split(",") for one in asked}
    entries = [
        Entry(experiment, x, system, _point(pairs, options, system, experiment, x))
        for experiment in asked
        for x in swept[experiment]
        for system in systems[experiment]
    ]
    return list(dict.fromkeys(entries))


def _point(pairs: dict[int, Manifest], options: dict[str, Any], system: str, experiment: str, x: float) -> Point:
    manifest = pairs[int(x) if experiment == "pilots" else options["pilots"]]
    snr_db = x if experiment == "snr" else options["at"]
    if system == "fixed":
        system = f"fixed:{best_rung(manifest.accuracy, manifest.layout, snr_db, options['price'])}"
    asked = _system(system, options)
    RatePolicy.parse(asked.policy).check(manifest.layout.rates)
    frame_doppler = SLOW_DOPPLER if experiment == "delay" else FRAME_DOPPLER
    return Point(
        model_id=manifest.id,
        pilots=manifest.layout.pilots,
        policy=asked.policy,
        goal=asked.goal,
        ask_below=options["confidence"] if asked.repeats else 0.0,
        snr_db=snr_db,
        frame_doppler=frame_doppler,
        feedback=_feedback(asked.policy, experiment, x, manifest.layout.slot),
        frames=frames(options, frame_doppler),
        stream=options["stream"],
        seed=options["seed"],
    )


@dataclass(frozen=True, slots=True)
class _System:
    policy: str
    goal: Goal
    repeats: bool


def _system(text: str, options: dict[str, Any]) -> _System:
    """POLICY[@POINTS or @price][+ir]. Raises ConfigError."""
    named, plus, more = text.partition("+")
    policy, at, aim = named.partition("@")
    points = aim.replace(".", "", 1).isdecimal()
    blind = policy.partition(":")[0] in ("robust", "fixed")
    if (plus and more != "ir") or (at and not points and aim != "price") or (blind and (at or plus)):
        raise ConfigError(
            f"--systems {text}: choose of {', '.join(SYSTEMS)}, fixed:SYMBOLS, and POLICY@POINTS, POLICY@price "
            "and POLICY+ir of the policies that hear reports"
        )
    within = float(aim) if points else options["ir_within" if more == "ir" else "within"]
    goal = Goal("price", options["price"]) if aim == "price" else Goal("within", within)
    return _System(policy, goal, more == "ir")


def _feedback(policy: str, experiment: str, x: float, slot: int) -> FeedbackSpec:
    if policy.partition(":")[0] in BLIND:
        return FeedbackSpec()
    match experiment:
        case "delay":
            return FeedbackSpec(delay=(round(x / SLOW_DOPPLER) - 1) * slot)
        case "loss":
            return FeedbackSpec(loss=x)
        case "bits":
            return FeedbackSpec(bits=int(x))
        case "bias":
            return FeedbackSpec(bias_db=float(x))  # an id is made of the text of numbers: 0 is not 0.0 there
    return FeedbackSpec()


def frames(options: dict[str, Any], frame_doppler: float) -> int:
    """Frames that span --cycles Doppler cycles; 4 cycles with --quick."""
    return round((4.0 if options["quick"] else options["cycles"]) / frame_doppler)


def best_rung(accuracy: Accuracy, layout: Layout, snr_db: float, price: float) -> int:
    """Payload symbols with the most accuracy - price * uses over Rayleigh fading, by a pair's own table.

    The best that a transmitter can do which knows the average SNR and hears nothing.
    """
    fades = 10.0 * np.log10(believe(Report.exact(snr_db, 0, 0), 0, average_only=True))
    means = [float(np.interp(fades, accuracy.snr_db, row).mean()) for row in accuracy.acc]
    worth = [mean - price * (symbols + layout.pilots) for mean, symbols in zip(means, layout.rates, strict=True)]
    return layout.rates[int(np.argmax(worth))]
