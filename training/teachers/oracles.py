"""Teachers that are ready to answer, uint8 images -> logits: image classifiers, CLIP-style zero-shot models, ensembles.

Knows nothing about folders, stores, views or students.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as fn

from common.errors import ModelError
from training.teachers.identity import TeacherId
from training.teachers.pixels import Pixels

LARGEST = 512
"""Images that a network is given at once; memory may make it fewer."""
ALIKE = 16
"""From so many images on that differ, answers that do not are a dead teacher's."""


class Oracle(Protocol):
    """A teacher ready to answer."""

    @property
    def id(self) -> TeacherId: ...

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU. `ask` checks what comes."""
        ...


class Classifier:
    """One `transformers` model. A batch that does not fit into memory is halved and tried again."""

    def __init__(
        self, model: nn.Module, pixels: Pixels, identity: TeacherId, device: torch.device, order: Sequence[int]
    ) -> None:
        """order: which column of the network's answer each class is, see `training.teachers.columns`."""
        self.model = model.to(device).eval()
        self.pixels = pixels
        self.id = identity
        self.device = device
        self._order = torch.tensor(order)
        self._largest = LARGEST

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        done: list[Tensor] = []
        start = 0
        while start < len(images):
            part = images[start : start + self._largest]
            try:
                done.append(self._answer(part).float().cpu())
            except torch.OutOfMemoryError:
                if self._largest == 1:
                    raise
                self._largest = max(1, min(self._largest, len(part)) // 2)
                torch.cuda.empty_cache()
                continue
            start += len(part)
        return torch.cat(done)[:, self._order]

    @torch.inference_mode()
    def check(self, images: NDArray[np.uint8], columns: int) -> None:
        """ValueError unless the network answers these images with `columns` numbers each."""
        found = tuple(self._answer(images).shape)
        if found != (len(images), columns):
            raise ValueError(
                f"it answers {len(images)} images with {list(found)} numbers, and {columns} classes have names"
            )

    def inputs(self, images: NDArray[np.uint8]) -> dict[str, Tensor]:
        """What the image processor makes of images, where the network is and in its precision."""
        dtype = torch.bfloat16 if self.id.dtype == "bf16" else torch.float32
        moved = {name: value.to(self.device) for name, value in self.pixels(images).items()}
        return {name: value.to(dtype) if value.is_floating_point() else value for name, value in moved.items()}

    def _answer(self, images: NDArray[np.uint8]) -> Tensor:
        answer: Tensor = self.model(**self.inputs(images)).logits
        return answer


class ZeroShot(Classifier):
    """A CLIP-style model: logits = scale * cosine(image embedding, embedding of each class prompt) + bias."""

    def __init__(
        self, model: Any, pixels: Pixels, identity: TeacherId, device: torch.device, prompts: dict[str, Tensor]
    ) -> None:
        """prompts: what the tokenizer made of one prompt per class."""
        super().__init__(model, pixels, identity, device, range(len(next(iter(prompts.values())))))
        self._prompts = {name: tensor.to(device) for name, tensor in prompts.items()}
        with torch.inference_mode():
            text = _pooled(model.get_text_features(**self._prompts))
        self._text = fn.normalize(text.float(), dim=-1)
        self._scale = float(model.logit_scale.detach().exp())
        self._bias = float(model.logit_bias.detach()) if hasattr(model, "logit_bias") else 0.0

    @torch.inference_mode()
    def check(self, images: NDArray[np.uint8], columns: int) -> None:
        """ValueError unless the model's own forward pass, texts and all, answers the same."""
        super().check(images, columns)
        whole, ours = self.model(**self.inputs(images), **self._prompts).logits_per_image.float(), self._answer(images)
        if not torch.allclose(ours, whole, rtol=0.02, atol=0.02 * self._scale, equal_nan=True):
            raise ValueError("its logits are not scale * cosine + bias, as those of CLIP and SigLIP are")

    def _answer(self, images: NDArray[np.uint8]) -> Tensor:
        image = _pooled(self.model.get_image_features(**self.inputs(images)))  # type: ignore[operator]
        return self._scale * fn.normalize(image.float(), dim=-1) @ self._text.T + self._bias


class Ensemble:
    """The mean of several teachers' log-probabilities (their geometric mean, renormalised)."""

    def __init__(self, members: Sequence[Oracle], identity: TeacherId) -> None:
        self.members = members
        self.id = identity

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        return torch.stack([ask(member, images).log_softmax(-1) for member in self.members]).mean(0)


def ask(oracle: Oracle, images: NDArray[np.uint8], numbers: Sequence[int] | NDArray[np.int64] = ()) -> Tensor:
    """`oracle.logits(images)`; ModelError where an answer is no finite number, or images that differ all get the same.

    numbers: of the images in their data set, for the message.
    """
    logits = oracle.logits(images)
    finite = logits.isfinite().all(-1)
    if not finite.all():
        row = int(finite.logical_not().nonzero()[0])
        which = f"image {int(numbers[row])}" if len(numbers) else f"image {row} of a batch"
        first = float(logits[row][logits[row].isfinite().logical_not()][0])
        raise ModelError(
            f"teacher '{oracle.id.name}' answers {which} with {first}, which is no finite number: its weights are "
            f"damaged, or too large for {oracle.id.dtype}"
        )
    if len(images) >= ALIKE and (images != images[0]).any():
        about = logits - logits.mean(-1, keepdim=True)
        if (about - about[0]).abs().max() <= 1e-5 * max(1.0, float(about.abs().max())):
            raise ModelError(
                f"teacher '{oracle.id.name}' gives {len(images)} different images the same answer: its weights, its "
                "image processor or its tokenizer are not those that it was trained with"
            )
    return logits


def _pooled(features: Any) -> Tensor:
    """`get_*_features` returns a tensor or, since transformers 5, an output whose pooler_output it is."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
