"""A suite that was run -> a card for each of its numbers; and back: the system, the place and the bench of a card.

Knows nothing about seals, or about what is done with what is computed again.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from training.cards.card import Card, Data
from training.cards.making import Context, write_card
from training.suites.definitions import find_suite
from training.suites.roster import LABEL, NAMES
from training.suites.whole import Order, Run, bench_of
from training.systems.bench import Bench
from training.systems.system import Place


def write_cards(run: Run, order: Order, folder: Path, hours: float | None = None) -> list[Path]:
    """One card for each number of a run, but for those of systems that the suite does not make by name.

    hours: as of `training_of`.
    """
    bench, command = run.bench, str(run.document["command"])
    trained = training_of(bench.manifest, hours)
    data = Data(str(bench.dataset if bench.dataset == "digits" else bench.test.name), bench.split, bench.data,
                len(bench.labels))  # fmt: skip
    paths = []
    for point in run.document["points"]:
        name, place = point["system"], place_of(point)
        outcome = run.outcomes[name, place]
        if outcome.reason is not None or name not in NAMES:
            continue
        label = run.outcomes.get((LABEL, place))
        rival = None if label is None or label.reason is not None else label.right
        context = Context(
            suite=run.suite.name, pair=bench.manifest.name, pair_id=bench.manifest.id, data=data, command=command,
            seed=order.seed, streams=tuple(range(len(outcome.right))), weights=weights_of(bench, name),
            retrain=trained, hours=hours if trained else None,
        )  # fmt: skip
        paths.append(write_card(folder, point, outcome.decided, outcome.right, context, rival))
    return paths


def training_of(manifest: Manifest, hours: float | None) -> str | None:
    """The command that made a pair which does not ship; None for one that does, of which `hours` are not asked.

    hours: what it took. ConfigError where they or the command are not known.
    """
    if manifest.name in shipped_pairs() and find_pair(manifest.name).id == manifest.id:
        return None
    command = manifest.provenance.get("command")
    if not command or not hours or not hours > 0:
        raise ConfigError(f"pair {manifest.name} does not ship, so its cards say how to train it: give --hours, and a "
                          "pair that remembers its command")  # fmt: skip
    return command


def place_of(point: Mapping[str, Any]) -> Place:
    """Where a point of a suite's JSON was measured."""
    return Place(point["channel"], point["csi"], point["n"], point["snr_db"])


def weights_of(bench: Bench, name: str) -> dict[str, str]:
    """What else than the pair a system loads: file of `training/baselines/shipped`, or of build/ -> SHA-256."""
    fitted, folder = bench.weights(name), bench.folder(name)
    files = [fitted, *(sorted(folder.rglob("*")) if folder.is_dir() else ())]
    found = {one: one.read_bytes() for one in files if one.is_file()}
    names = {one: one.relative_to(bench.fitted.parent).as_posix() for one in found}
    return {names[one]: hashlib.sha256(raw).hexdigest() for one, raw in found.items()}


def open_bench(card: Card, pair: str | None, dataset: str | None, retrained: bool = False) -> Bench:
    """The pair and the images of a card. ConfigError where they are not there, or others than the card's.

    pair, dataset: where they lie, if they do not ship; a card never chooses what is read. retrained: the pair may be
    another, of the same command.
    """
    if pair is None and card.pair not in shipped_pairs():
        raise ConfigError(f"it is of pair {card.pair}, which does not ship: give --pair FOLDER{how_to_train(card)}")
    pair = pair or card.pair
    if (found := find_pair(pair)).id != card.pair_id and not retrained:
        raise ConfigError(f"it is of pair {card.pair} {card.pair_id[:12]}, and {pair} is {found.id[:12]}")
    order = Order(Path(), only=(card.system,), pairs=(pair,), dataset=dataset, split=card.data.split,
                  most=card.data.images, skip_bad=True)  # fmt: skip
    bench = bench_of(find_suite(card.suite), order)
    if bench.data != card.data.fingerprint:
        raise ConfigError(f"its images are not these: {len(bench.labels)} of the {card.data.split} split of "
                          f"{bench.dataset} have another fingerprint; give --dataset")  # fmt: skip
    return bench


def how_to_train(card: Card) -> str:
    """What makes the weights of a card, in words; empty where they ship."""
    if card.retrain is None:
        return ""
    return f"; trained by `{card.retrain}`, {f'about {card.hours:g} hours' if card.hours else 'hours not told'}"
