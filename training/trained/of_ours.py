"""The same trials for the pair itself: its recipe with other settings, distilled, on the same held-out images.

Knows nothing about how a pair is distilled. Nothing of it is shipped: the pair that ships keeps its id; what is written
is what its trials took, and whether its own settings, which are the first, were the best.
"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from common.errors import ModelError
from common.files import write_json
from common.pair.manifest import Manifest
from training.distillation.request import Request
from training.distillation.stages import distill
from training.lab.evaluation import Lab, Setting
from training.recipes.of_pair import require_teacher
from training.systems.bench import Bench
from training.teachers.find import find_teacher
from training.trained.fronts import recipe_of
from training.trained.trying import REFERENCE, STREAMS, Budget, Trials

NAME = "ours"


class OursTuning(Trials):
    """Trials of the pair's own recipe: its settings are the first, the others are of the kind that a baseline's are."""

    def __init__(
        self, bench: Bench, budget: Budget, build: Path, seed: int = 0, teacher: str | None = None
    ) -> None:  # fmt: skip
        """teacher: that of the pair, where one was given to it; ConfigError where it is missing."""
        require_teacher(bench.manifest, teacher, NAME)
        self.recipe, self._teacher = recipe_of(bench), teacher
        schedule, loss = self.recipe.schedule, self.recipe.loss
        space = {"lr": (schedule.lr, schedule.lr / 3, 2 * schedule.lr), "hard": (loss.hard, 0.3, 1.0),
                 "tau": (loss.tau, 1.0), "batch": (schedule.batch, schedule.batch // 2)}  # fmt: skip
        by = teacher and asdict(find_teacher(teacher, bench.test.asked).id)
        super().__init__(NAME, space, bench, budget, build, seed, recipe=self.recipe.plain(), teacher=by)

    def attempt(self, settings: dict[str, Any], folder: Path) -> float:
        schedule = replace(self.recipe.schedule, lr=settings["lr"], batch=settings["batch"])
        loss = replace(self.recipe.loss, hard=settings["hard"], tau=settings["tau"])
        recipe = replace(self.recipe, schedule=schedule, loss=loss)
        request = Request(
            self.bench.dataset, self._teacher, None, folder / "pair", folder / "run", "cpu", self.seed, online=False,
            skip_bad=self.bench.skip_bad,
        )  # fmt: skip
        made = distill(recipe, request, Console(quiet=True))
        if made is None:
            raise ModelError("one process distils for a trial; start it without torchrun")
        return self._judge(made)

    def _judge(self, made: Manifest) -> float:
        """At the places where baselines are compared, all uses payload."""
        lab, shares = Lab(made, self.held.images), []
        for place in REFERENCE:
            asked = Setting("awgn", "known", place.snr_db, place.n, 1, 0, 0, 0.0, place.snr_db)
            shares += [np.mean(lab.decide(asked, stream) == self.held.labels) for stream in STREAMS]
        return float(np.mean(shares))

    def run(self, out: Path, command: str) -> dict[str, Any]:
        """Writes OUT's JSON, which is returned."""
        tried = self.trials()
        document = self.told(tried, command)
        document["spent"]["fitting_cpu_s"] = 0.0
        document |= {"source": "this project's own method", "held_to": [],
                     "shipped_settings_best": document["chosen"] == tried[0]["settings"]}  # fmt: skip
        write_json(out.with_suffix(".json"), document)
        return document
