"""The head that a distillation ends with: exchanged where a fit to the features is better, and only there."""

import numpy as np
import pytest
import torch
from torch import Tensor

from common.images.imageset import ImageSet
from common.pair.shapes import EncoderShape, Preprocess
from sctx.encoder import Encoder
from training.distillation.last_layer import Heads, better_head, fit_head

SIZE, CLASSES = 4, 6
PREPROCESS = Preprocess(SIZE, SIZE, 1, (0.5,), (0.25,))


class Flat(Encoder):
    """The pixels are the features."""

    def __init__(self) -> None:
        super().__init__(EncoderShape(), 1, CLASSES)
        self.head = torch.nn.Linear(SIZE * SIZE, CLASSES)

    def pooled(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def pictures(count: int, seed: int) -> ImageSet:
    """Classes that a linear layer tells apart, but for noise."""
    random, places = np.random.default_rng(seed), np.random.default_rng(9).uniform(60, 190, (CLASSES, SIZE, SIZE, 1))
    labels = random.integers(0, CLASSES, count)
    pixels = (places[labels] + random.normal(0, 40, (count, SIZE, SIZE, 1))).clip(0, 255).astype(np.uint8)
    return ImageSet("made", pixels, labels.astype(np.int64), tuple("abcdef"))


def test_a_head_that_is_worse_is_exchanged_and_the_numbers_are_its_own() -> None:
    torch.manual_seed(3)
    encoder, train, validation = Flat(), pictures(600, 0), pictures(300, 1)
    heads = better_head(encoder, train, validation, PREPROCESS)
    assert heads.exchanged
    assert heads.trained < 150 < 250 < heads.fitted
    with torch.no_grad():
        x = (torch.from_numpy(validation.images[..., 0]).float() / 255 - 0.5) / 0.25
        assert int((encoder.head(x.flatten(1)).argmax(1).numpy() == validation.labels).sum()) == heads.fitted


def test_a_head_stays_where_the_fit_is_not_better_beyond_chance() -> None:
    encoder, train, validation = Flat(), pictures(600, 0), pictures(300, 1)
    features = (train.images.reshape(600, -1).astype(np.float32) / 255 - 0.5) / 0.25
    encoder.head = best = fit_head(encoder.head, features, train.labels)
    few = pictures(30, 2)
    assert not better_head(encoder, few, validation, PREPROCESS).exchanged  # a fit to few pictures is worse
    assert encoder.head is best
    assert not better_head(encoder, train, validation, PREPROCESS).exchanged  # the same again
    assert encoder.head is best


@pytest.mark.parametrize("gained", [4, 5])
def test_what_chance_would_give_is_not_enough(gained: int) -> None:
    """Exact McNemar: 4 gained and none lost have a probability of 1/16, 5 of 1/32."""
    encoder, train = Flat(), pictures(600, 0)
    features = (train.images.reshape(600, -1).astype(np.float32) / 255 - 0.5) / 0.25
    fitted = fit_head(encoder.head, features, train.labels)
    with torch.no_grad():  # names class 5 nowhere, and is the fit everywhere else
        encoder.head.weight.copy_(fitted.weight)
        encoder.head.bias.copy_(fitted.bias - torch.tensor([0, 0, 0, 0, 0, 1e6]))
        many = pictures(400, 1)
        x = torch.from_numpy((many.images.reshape(400, -1).astype(np.float32) / 255 - 0.5) / 0.25)
        right = np.flatnonzero((fitted(x).argmax(1).numpy() == many.labels) & (many.labels == 5))[:gained]
    validation = ImageSet("made", many.images[right], many.labels[right], many.classes)
    assert better_head(encoder, train, validation, PREPROCESS) == Heads(0, gained, gained, gained == 5)
