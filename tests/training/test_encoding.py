"""What an encoding of logits costs and what it loses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from training.knowledge.encoding import bytes_per_row, check, decode, divergence, encode


def peaked(rows: int, classes: int) -> torch.Tensor:
    """Logits as a confident teacher gives them."""
    random = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(rows, classes, generator=random)
    logits[torch.arange(rows), torch.randint(classes, (rows,), generator=random)] += 8
    return logits


@pytest.mark.parametrize(
    ("encoding", "classes", "cost", "tau", "loss"),
    [
        ("int8", 10, 12, 2.0, 1e-5),
        ("int8", 200, 202, 2.0, 1e-4),
        # An even tail is right in mass and wrong in shape: fit for tau = 1, not for more.
        ("top10", 1000, 42, 1.0, 0.4),
        ("top5", 100, 17, 1.0, 0.08),
    ],
)
def test_bytes_and_divergence(encoding: str, classes: int, cost: float, tau: float, loss: float) -> None:
    logits = peaked(500, classes)
    stored = encode(logits, encoding)
    assert bytes_per_row(stored) == cost
    assert float(divergence(logits, decode(stored, encoding, classes), tau).mean()) < loss


@given(scale=st.floats(0, 200), offset=st.floats(-1000, 1000), encoding=st.sampled_from(["int8", "top3"]))
def test_the_top_class_survives_and_a_constant_does_not_matter(scale: float, offset: float, encoding: str) -> None:
    logits = scale * torch.randn(8, 10, generator=torch.Generator().manual_seed(1))
    kept = decode(encode(logits + offset, encoding), encoding, 10)
    assert torch.isfinite(kept).all()
    top = logits.argmax(-1, keepdim=True)
    gap = float((kept.amax(-1) - kept.gather(-1, top)[:, 0]).max())
    assert gap <= scale * 0.05 + 0.1


def test_the_tail_of_top_k_holds_the_rest_of_the_mass() -> None:
    logits = peaked(100, 50)
    probability = logits.softmax(-1)
    kept = decode(encode(logits, "top5"), "top5", 50).softmax(-1)
    top = probability.topk(5).indices
    assert (kept.gather(-1, top) - probability.gather(-1, top)).abs().max() < 2e-3
    assert (kept.sum(-1) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("encoding", ["int4", "top0", "top10", "top", "TOP3", ""])
def test_unknown_encodings_are_wrong_use(encoding: str) -> None:
    with pytest.raises(ConfigError):
        check(encoding, 10)


def test_an_encoding_that_lost_is_refused_with_what_to_use() -> None:
    with pytest.raises(ConfigError, match="'fp16' is no more: int8"):
        check("fp16", 10)
