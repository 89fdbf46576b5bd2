"""Reception without pilots: no estimate, no report, the most robust rate; and a decoder that bears any phase."""

import numpy as np
import pytest
import torch
from training.student.air import draw, receive

from common.errors import ConfigError
from common.phy.layout import Layout
from training.recipes.specs import Conditions


def test_a_layout_without_pilots_is_allowed_and_one_pilot_is_not() -> None:
    assert Layout((4, 4), pilots=0).frame_symbols(0, 1) == 8
    with pytest.raises(ConfigError, match="0: non-coherent"):
        Layout((4, 4), pilots=1)


def test_training_shows_the_decoder_every_phase_and_no_snr() -> None:
    layout = Layout((4,), pilots=0)
    drawn = draw(4000, layout, Conditions(60.0, 60.0, rayleigh=0.0), torch.Generator().manual_seed(0))
    sent = torch.ones(4000, 4, dtype=torch.complex64)
    symbols, gamma = receive(sent, drawn, layout)
    assert drawn.told_db.isnan().all()
    assert (gamma == 1).all()
    first = symbols[:, 0].numpy()
    assert np.allclose(np.abs(first), 1.0, atol=0.02)
    assert abs(np.mean(first)) < 0.05  # phases all around the circle
    assert abs(np.mean(first**2)) < 0.05
