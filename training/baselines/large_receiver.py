"""What classifies a picture that came across: the pair itself, or a teacher of any size, which no camera has to run.

Knows nothing about pictures in bits. A teacher is named by its folder or Hub id, and by its weights, which must be
those that the pictures were fitted with.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from training.systems.bench import Bench
from training.systems.system import NotThere

Classify = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""Pictures, uint8 [B, H, W, C] -> classes of the bench, int64 [B]."""


def described(bench: Bench, teacher: str) -> dict[str, str]:
    """A teacher as a fitted file names it: folder or Hub id, SHA-256 of its weights, and how it is asked."""
    from training.teachers.find import find_teacher, weights_sha256

    asked = find_teacher(teacher, bench.test.asked).id.preprocess
    return {"teacher": teacher, "weights": weights_sha256(teacher), "asked": asked}


def opened(bench: Bench, named: Mapping[str, str] | None) -> Classify:
    """Ready to answer; None: the pair. NotThere where the teacher is another one or is asked otherwise, SemlinkError
    where there is none."""
    if named is None:
        return bench.decide
    import torch

    from training.teachers.find import load_oracle

    now = described(bench, named["teacher"])
    if any(now.get(key) != value for key, value in named.items()):  # older files do not say how it is asked
        raise NotThere(
            f"fitted with another teacher than {named['teacher']}: python -m training.baseline fits it again"
        )
    oracle = load_oracle(named["teacher"], bench.test.asked, torch.device("cpu"))

    def classify(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        decided: NDArray[np.int64] = oracle.logits(images).argmax(-1).numpy()
        return decided

    return classify
