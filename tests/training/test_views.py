"""Any view of any sample is the same bit for bit in any batch, order or process."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from training.data.views import augment, fingerprint, words
from training.recipes.specs import ViewSpec

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
FULL = ViewSpec(seed=7, shift=2, shear=2, flip=True, gain=40, cutout=5, reflect=True)

SPECS = st.builds(
    ViewSpec,
    seed=st.integers(0, 2**63),
    shift=st.integers(0, 4),
    shear=st.integers(0, 4),
    flip=st.booleans(),
    gain=st.integers(0, 255),
    cutout=st.integers(0, 12),
    reflect=st.booleans(),
    fill=st.integers(0, 255),
)


@given(
    spec=SPECS,
    view=st.integers(0, 2**40),
    order=st.permutations(range(40)),
    size=st.integers(1, 40),
)
def test_a_view_does_not_depend_on_batch_or_order(spec: ViewSpec, view: int, order: list[int], size: int) -> None:
    whole = augment(IMAGES, words(spec, view, 0, 40), spec)
    assert whole.shape == IMAGES.shape
    picked = np.array(order[:size])
    parameters = np.concatenate([words(spec, view, int(k), int(k) + 1) for k in picked])
    assert np.array_equal(augment(IMAGES[picked], parameters, spec), whole[picked])


def test_another_process_makes_the_same_pixels() -> None:
    code = (
        "import numpy as np; from training.data.views import *; "
        "images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8); "
        f"print(fingerprint(images, {FULL!r}, 3, 0))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == fingerprint(IMAGES, FULL, 3, 0)


def test_the_pixels_of_a_view_are_pinned() -> None:
    """A change here needs a new `training.data.views.VERSION`: stores made before would no longer fit."""
    assert fingerprint(IMAGES, FULL, 3, 0)[:16] == "c6f7932f89b4d374"
    raw = hashlib.sha256(words(FULL, 3, 5, 9).astype("<u8").tobytes()).hexdigest()
    assert raw[:16] == "7f6182652b1099a7"


def test_a_view_without_operations_is_the_image() -> None:
    assert np.array_equal(augment(IMAGES, words(ViewSpec(), 9, 0, 40), ViewSpec()), IMAGES)


def test_views_differ_from_each_other() -> None:
    assert fingerprint(IMAGES, FULL, 0, 0) != fingerprint(IMAGES, FULL, 1, 0)


def test_each_operation_alone_does_what_it_says() -> None:
    shifted = augment(IMAGES, words(ViewSpec(shift=2), 0, 0, 40), ViewSpec(shift=2))
    padded = np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    places = [(y, x) for y in range(5) for x in range(5)]
    for view, image in zip(shifted, padded, strict=True):
        assert any(np.array_equal(view, image[y : y + 16, x : x + 16]) for y, x in places)
    flip = ViewSpec(flip=True)
    flipped = augment(IMAGES, words(flip, 0, 0, 40), flip)
    turned = [np.array_equal(view, image[:, ::-1]) for view, image in zip(flipped, IMAGES, strict=True)]
    assert 8 <= sum(turned) <= 32
    cut = ViewSpec(cutout=4, fill=99)
    holes = (augment(IMAGES, words(cut, 0, 0, 40), cut) == 99).all(-1).sum((1, 2))
    assert holes.max() == 16
    assert holes.min() >= 4


@pytest.mark.parametrize("wrong", [{"shift": -1}, {"gain": 256}, {"fill": 256}])
def test_impossible_amounts_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        ViewSpec(**wrong)
