"""A card, computed again: identical, k of N differ, or it differs; and what was altered is told before anything is run.

Knows nothing about tables or the command line.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import ConfigError, DataError, ModelError, SemlinkError
from training.cards.card import Card, altered, read
from training.cards.from_suite import how_to_train, open_bench, weights_of
from training.cards.packing import unpack
from training.cards.retraining import trained
from training.report.stats import bootstrap, scaled, written
from training.suites.kept import Outcome
from training.suites.measuring import outcome_of
from training.suites.roster import roster
from training.systems.bench import Bench
from training.systems.system import Place, System

OTHER_PROCESSOR = 0.001
"""Share of decisions that may differ on another processor, which adds up in another order."""
AT_HAND = "digits"
"""Images that come with a package, wherever others lie."""
SAME = 1e-6
"""Probabilities that differ by less are the same."""
IDENTICAL, FEW, AGREES = "identical", "few differ", "agrees"
DIFFERS, ALTERED, RETRAIN, MISSING = "differs", "altered", "retrain", "missing"
EXIT_CODES = {IDENTICAL: 0, FEW: 0, AGREES: 0, RETRAIN: 0, DIFFERS: 1, ALTERED: 1, MISSING: 2}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a card: one of the words above, and the line that says so."""

    card: str
    verdict: str
    says: str
    differ: int = 0
    decisions: int = 0

    @property
    def exit_code(self) -> int:
        """0: it stands, 1: it does not, 2: nothing can be said."""
        return EXIT_CODES[self.verdict]


class Verifier:
    """Verifies cards one after the other; what several need is opened once.

    pair: folder of a pair that does not ship; dataset: where its pictures lie. retrained: folder for pairs that are
    trained again, where that is wanted: it takes the hours that the card says.
    """

    def __init__(self, pair: str | None = None, dataset: str | None = None, retrained: Path | None = None) -> None:
        self._pair, self._dataset, self._retrained = pair, dataset, retrained
        self._benches: dict[tuple[str, ...], Bench] = {}
        self._systems: dict[tuple[str, ...], System] = {}

    def verify(self, path: Path) -> Verdict:
        """Of one card. Raises nothing of ours: what is missing or damaged is a verdict."""
        try:
            card = read(path)
        except ConfigError as error:
            return Verdict(path.name, MISSING, str(error))
        except SemlinkError as error:
            return Verdict(path.name, ALTERED, str(error))
        if wrong := altered(card):
            return Verdict(path.name, ALTERED, "; ".join(wrong))
        if self._anew(card) and self._retrained is None:
            return Verdict(path.name, RETRAIN, f"sealed, and not computed again{how_to_train(card)}")
        try:
            return (agreed if self._anew(card) else compared)(path.name, card, self._again(card))
        except (ConfigError, DataError, ModelError) as error:
            return Verdict(path.name, MISSING, str(error))
        except SemlinkError as error:
            return Verdict(path.name, DIFFERS, str(error))

    def _anew(self, card: Card) -> bool:
        """Whether its weights are to be trained first."""
        return card.kind == "retrain" and self._pair is None

    def _again(self, card: Card) -> Outcome:
        """The card's number once more."""
        place = Place(card.channel, card.csi, card.n, card.snr_db)
        outcome = outcome_of(self._system(card), place, card.streams, card.seed, card.data.images)
        if outcome.reason is not None:
            raise ConfigError(f"{card.system} cannot be measured here: {outcome.reason}")
        return outcome

    def _system(self, card: Card) -> System:
        key = card.suite, card.pair_id, card.data.split, card.data.fingerprint
        if key not in self._benches:
            pair, dataset = self._pair, None if card.data.name == AT_HAND else self._dataset
            if self._anew(card) and self._retrained is not None:
                pair = str(trained(card, dataset, self._retrained / card.pair_id[:16]))
            self._benches[key] = open_bench(card, pair, dataset, self._anew(card))
        bench = self._benches[key]
        if (*key, card.system) not in self._systems:
            self._systems[*key, card.system] = roster(bench, [card.system])[card.system]
        found = weights_of(bench, card.system)
        if wrong := [name for name in {**card.weights, **found} if card.weights.get(name) != found.get(name)]:
            raise ConfigError(f"it was made with other weights than lie here: {wrong[0]}")
        return self._systems[*key, card.system]


def compared(name: str, card: Card, again: Outcome) -> Verdict:
    """The decisions of a card beside those that were made again."""
    right = unpack(card.right).astype(np.float64)
    differs = ~np.isclose(right, again.right, rtol=0, atol=SAME)
    if card.decisions is not None and again.decided is not None:
        differs |= unpack(card.decisions) != again.decided
    differ, all_ = int(differs.sum()), differs.size
    if differ > OTHER_PROCESSOR * all_ or abs(again.uses - card.mean_uses) > OTHER_PROCESSOR * card.mean_uses:
        accuracy, uses = (100 * again.right.mean(), 100 * card.accuracy), (again.uses, card.mean_uses)
        says = (
            f"differs: {differ} of {all_} decisions; accuracy is {accuracy[0]:.2f} %, and {accuracy[1]:.2f} % on the "
            f"card; mean uses {uses[0]:g} and {uses[1]:g}"
        )
        return Verdict(name, DIFFERS, says, differ, all_)
    if differ:
        return Verdict(name, FEW, f"{differ} of {all_} differ, as on another processor", differ, all_)
    return Verdict(name, IDENTICAL, f"identical, {all_} decisions", 0, all_)


def agreed(name: str, card: Card, again: Outcome) -> Verdict:
    """The accuracy of weights that were trained anew beside the card's, paired over images."""
    right = unpack(card.right).astype(np.float64).mean(0)
    found = bootstrap(again.right.mean(0) - right)
    mean, low, high = scaled(found, 100.0)
    good = low <= 0.0 <= high
    says = f"trained again: accuracy {written(mean, low, high)} points from the card's"
    word = AGREES if good else DIFFERS
    return Verdict(name, word, f"{word}, {says}", 0, card.right.shape[1])
