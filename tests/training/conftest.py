"""A recipe that trains in a second."""

from dataclasses import replace

import pytest

from common.pair.shapes import EncoderShape
from common.phy.layout import Layout
from training.distillation import stages
from training.loop import fit, journal
from training.recipes.recipe import Recipe, load_recipe
from training.recipes.specs import Schedule
from training.words import arrivals


@pytest.fixture(autouse=True)
def alone(one_thread: None) -> None:
    """All networks here are small."""


@pytest.fixture
def recipe() -> Recipe:
    """The digits recipe with networks and schedules of the smallest size."""
    full = load_recipe("digits")
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    teacher = replace(full.teacher, config={**full.teacher.config, **tiny}, schedule=Schedule(epochs=1, batch=256))
    return replace(
        full,
        layout=Layout((2, 4), pilots=4, slot=16),
        encoder=EncoderShape(4, 1),
        views=2,
        teacher=teacher,
        schedule=Schedule(epochs=3, batch=256),
    )


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a new pair are of a twentieth of the noise: to 1.6 points."""
    monkeypatch.setattr(arrivals, "DRAWS", 1000)


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a training run will take is told by as few of its steps as may be."""
    monkeypatch.setattr(fit, "TRIAL_S", 0.0)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figure of a training run is drawn."""
    for drawing in (stages, journal):
        monkeypatch.setattr(drawing, "draw", lambda *_: None)
