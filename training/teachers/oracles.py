"""Teachers that are ready to answer, uint8 images -> logits: image classifiers, CLIP-style zero-shot models, ensembles.

Knows nothing about folders, stores, views or students.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as fn

from common.errors import ConfigError, ModelError
from training.loop.machine import keep_memory, placed
from training.teachers.identity import TeacherId
from training.teachers.pixels import Pixels

LARGEST, LARGEST_ON_CPU = 512, 64
"""Images that a network is given at once; memory may make it fewer. A processor's caches hold less."""
ALIKE = 16
"""From so many images on that differ, answers that do not are a dead teacher's."""


class Oracle(Protocol):
    """A teacher ready to answer."""

    @property
    def id(self) -> TeacherId: ...

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU. `ask` checks what comes."""
        ...


@runtime_checkable
class Embedder(Oracle, Protocol):
    """One that gives embeddings as well."""

    def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits, float32 [B, classes], and embeddings, float32 [B, D], on the CPU. ConfigError: it gives none."""
        ...


class Classifier:
    """One `transformers` model. A batch that does not fit into memory is halved and tried again."""

    def __init__(
        self, model: nn.Module, pixels: Pixels, identity: TeacherId, device: torch.device, order: Sequence[int]
    ) -> None:
        """order: which column of the network's answer each class is, see `training.teachers.columns`."""
        keep_memory()
        self.model = placed(model, device).eval()
        self.pixels = pixels
        self.id = identity
        self.device = device
        self._order = torch.tensor(order)
        self._largest = LARGEST_ON_CPU if device.type == "cpu" else LARGEST

    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """images: uint8 [B, H, W, C] -> float32 [B, classes] on the CPU."""
        return self._asked(images, lambda part: (self._answer(part),))[0][:, self._order]

    def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits, float32 [B, classes], and what its last layer is given, float32 [B, D], on the CPU.

        A network that answers several times, such as for an image and its mirror image, gives the mean.
        """
        given: list[Tensor] = []
        hooks = [head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0])) for head in self._heads()]

        def both(part: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
            given.clear()
            return self._answer(part), torch.stack([one.flatten(1).float() for one in given]).mean(0)

        try:
            logits, embedding = self._asked(images, both)
        finally:
            for hook in hooks:
                hook.remove()
        return logits[:, self._order], embedding

    def _heads(self) -> list[nn.Linear]:
        """Its last layers: linear ones with a number for each of its classes."""
        wide = int(self.model.config.num_labels)  # type: ignore[union-attr, arg-type]
        heads = [one for one in self.model.modules() if isinstance(one, nn.Linear) and one.out_features == wide]
        if len({one.in_features for one in heads}) != 1:
            raise ConfigError(
                f"teacher '{self.id.name}' has no embedding: it does not end in a linear layer of {wide} numbers, "
                "before which it would be read"
            )
        return heads

    @torch.inference_mode()
    def _asked(
        self, images: NDArray[np.uint8], answer: Callable[[NDArray[np.uint8]], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """What `answer` says of all images, on the CPU; as many at a time as memory allows."""
        done: list[tuple[Tensor, ...]] = []
        start = 0
        while start < len(images):
            part = images[start : start + self._largest]
            try:
                done.append(tuple(one.float().cpu() for one in answer(part)))
            except torch.OutOfMemoryError:
                if self._largest == 1:
                    raise
                self._largest = max(1, min(self._largest, len(part)) // 2)
                torch.cuda.empty_cache()
                continue
            start += len(part)
        return tuple(torch.cat(parts) for parts in zip(*done, strict=True))

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
        return {name: self._moved(value, dtype) for name, value in self.pixels(images).items()}

    def _moved(self, value: Tensor, dtype: torch.dtype) -> Tensor:
        order = torch.channels_last if value.ndim == 4 else torch.preserve_format
        return value.to(self.device, dtype if value.is_floating_point() else value.dtype, memory_format=order)

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

    def answers(self, images: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """Logits, float32 [B, classes], and image embeddings of unit length, float32 [B, D], on the CPU."""

        def both(part: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
            image = self._image(part)
            return self._scale * image @ self._text.T + self._bias, image

        logits, embedding = self._asked(images, both)
        return logits, embedding

    def _answer(self, images: NDArray[np.uint8]) -> Tensor:
        return self._scale * self._image(images) @ self._text.T + self._bias

    def _image(self, images: NDArray[np.uint8]) -> Tensor:
        found = _pooled(self.model.get_image_features(**self.inputs(images)))  # type: ignore[operator]
        return fn.normalize(found.float(), dim=-1)


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
    _judge(oracle, logits, images, numbers)
    return logits


def ask_both(
    oracle: Oracle, images: NDArray[np.uint8], numbers: Sequence[int] | NDArray[np.int64] = ()
) -> tuple[Tensor, Tensor]:
    """`oracle.answers(images)`: logits and embeddings, both judged as by `ask`."""
    if not isinstance(oracle, Embedder):
        raise ConfigError(f"teacher '{oracle.id.name}' gives no embeddings; give one --teacher, not several")
    logits, embedding = oracle.answers(images)
    _judge(oracle, logits, images, numbers)
    _judge(oracle, embedding, images, numbers)
    return logits, embedding


def _judge(
    oracle: Oracle, logits: Tensor, images: NDArray[np.uint8], numbers: Sequence[int] | NDArray[np.int64]
) -> None:
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


def _pooled(features: Any) -> Tensor:
    """`get_*_features` returns a tensor or, since transformers 5, an output whose pooler_output it is."""
    found: Tensor = features if isinstance(features, Tensor) else features.pooler_output
    return found
