"""A recipe that trains in a second."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from common.manifest import DecoderShape, EncoderShape
from common.phy.layout import Layout
from training.recipe import Recipe, Schedule, load_recipe


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose to the hand-over between threads, on a busy machine by a factor of ten."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
        decoder=DecoderShape(16, 1, 8),
        views=2,
        teacher=teacher,
        schedule=Schedule(epochs=3, batch=256),
    )
