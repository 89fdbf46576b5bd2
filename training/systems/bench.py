"""What every system of a suite is given: a pair, images, the transmitter's own decision, where fitted weights lie.

Knows nothing about channels, or about which systems there are. Test images are for measuring; whatever is chosen or
fitted is so on `train` and `validation`, which is a part of train wherever a data set brings none. Of train there is as
much as the pair has seen. What was fitted for the pair of a suite ships; for any other it lies under build/.
"""

import hashlib
import re
import shlex
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.images.datasets import load_for
from common.images.imageset import ImageSet
from common.pair.manifest import Manifest, find_pair, shipped_pairs
from common.pair.origin import dataset_of
from training.data.images import fingerprint, load_told, measured_split
from training.recipes.of_pair import share_of
from training.systems.system import NotThere

if TYPE_CHECKING:
    from sctx.pipeline import TransmitChain

SHIPPED = Path(__file__).parents[1] / "baselines" / "shipped"
"""Weights of what is compared with the pair of a suite, a folder for each suite."""
BUILT = Path("build") / "baselines"
"""Of what is compared with other pairs, a folder for each suite in which each pair has one."""
OWN = {"quick": "digits", "cifar10": "cifar10", "tinyimagenet100": "tinyimagenet100"}
"""Suite -> its pair."""
DECIDED = 512
"""Images that are decided at a time, so that they fit into memory."""


class Bench:
    """A pair and the images it is measured on. Whatever is long to compute is computed once, when it is asked for."""

    def __init__(
        self, suite: str, manifest: Manifest, dataset: str, images: ImageSet, device: str = "cpu", split: str = "test",
        skip_bad: bool = False,
    ) -> None:  # fmt: skip
        """suite: its name, which is that of the folder of fitted weights; images: as `load_for` gives them, of `split`;
        skip_bad: leave out of the other splits what cannot be read, as it was left out of this one."""
        self.suite, self.manifest, self.dataset, self.device = suite, manifest, dataset, device
        self.test, self.split, self.skip_bad = images, split, skip_bad
        self._fitted: Path | None = None
        self._splits: dict[str, ImageSet] = {}

    @classmethod
    def open(
        cls, suite: str, pair: str | Path, dataset: str | None = None, split: str | None = None, device: str = "cpu",
        most: int | None = None, skip_bad: bool = False,
    ) -> "Bench":  # fmt: skip
        """pair: a shipped name or a folder; dataset: None: what it was trained on; split: None: test, or validation
        where there is none, which is told; most: images, None: all; skip_bad: as of `load_for`."""
        manifest = find_pair(pair)
        dataset = dataset or dataset_of(manifest)
        used = measured_split(dataset, split)
        images = load_told(manifest, dataset, used, skip_bad)
        return cls(suite, manifest, dataset, images.some(most), device, used, skip_bad)

    def of(self, manifest: Manifest) -> "Bench":
        """The same images for another pair. NotThere where it sees other images, or knows other classes."""
        ours, theirs = self.manifest.preprocess, manifest.preprocess
        if (ours.height, ours.width, ours.channels) != (theirs.height, theirs.width, theirs.channels):
            raise NotThere(f"pair {manifest.name} takes images of {theirs.height} x {theirs.width} x {theirs.channels}")
        if manifest.labels != self.manifest.labels:
            raise NotThere(f"pair {manifest.name} knows other classes than pair {self.manifest.name}")
        return Bench(self.suite, manifest, self.dataset, self.test, self.device, self.split, self.skip_bad)

    @property
    def images(self) -> NDArray[np.uint8]:
        """uint8 [N, H, W, C], as the pair's encoder takes them."""
        return self.test.images

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 [N], indices into `classes`; for scoring, and never for a system to look at."""
        return self.test.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the pair's own order."""
        return self.manifest.labels

    @cached_property
    def data(self) -> str:
        """SHA-256 of the test images, their labels and class names."""
        return fingerprint(self.test)

    @cached_property
    def seen(self) -> str:
        """SHA-256 of all that is fitted and chosen on: train and validation images, labels and class names."""
        return hashlib.sha256((fingerprint(self.train()) + fingerprint(self.validation())).encode()).hexdigest()

    def require_seen(self, name: str, data: object) -> None:
        """NotThere unless a system was fitted on the images of this bench. data: `seen` as its file has it, or None, as
        earlier versions wrote. What ships with a suite is taken where there are images to measure on and no others."""
        if data is None and not self.is_own:
            raise NotThere(f"fitted by a version that did not note on which images: {self.command(name)}")
        try:
            others = data is not None and data != self.seen
        except DataError:
            others = not self.is_own
        if others:
            raise NotThere(f"fitted on other images than those of {self.test.name}: {self.command(name)}")

    def train(self) -> ImageSet:
        """To fit on, as many as the pair has seen: uint8 [M, H, W, C] as it takes them, labels in its own order."""
        return self._split("train")

    def validation(self) -> ImageSet:
        """To choose on; never among `train`."""
        return self._split("validation")

    @cached_property
    def is_own(self) -> bool:
        """Whether pair and images are those of which the weights that ship with a suite are."""
        own = OWN.get(self.suite)
        same = own is not None and self.manifest.id == find_pair(own).id
        return same and self.test.name.rpartition("/")[2] == self.manifest.dataset

    @property
    def fitted(self) -> Path:
        """Folder of what is fitted: of a suite's own pair and images with the project, of others under build/."""
        if self._fitted is not None:
            return self._fitted
        other = f"of-{plain_name(self.manifest.name)}-{self.manifest.id[:12]}-{plain_name(self.test.name)}"
        return SHIPPED / self.suite if self.is_own else BUILT / self.suite / other

    def fit_into(self, folder: Path) -> None:
        """Have all that is fitted lie there."""
        self._fitted = folder

    def weights(self, name: str) -> Path:
        """Where the fitted weights of a system lie, whether or not they are there; NAME.json beside it says how."""
        return self.fitted / f"{name}.safetensors"

    def folder(self, name: str) -> Path:
        """Where a system lies that is a pair of its own."""
        return self.fitted / name

    def command(self, name: str) -> str:
        """What makes the weights of a system for this pair and these images, without the place of either."""
        words = ["python", "-m", "training.baseline", "--suite", self.suite, "--system", name]
        if not self.is_own:
            shipped = self.manifest.name in shipped_pairs() and find_pair(self.manifest.name).id == self.manifest.id
            pair = self.manifest.name if shipped else _from_here(str(self.manifest.path))
            words += ["--pair", pair, "--dataset", _from_here(self.dataset), *(["--skip-bad"] if self.skip_bad else [])]
        return shlex.join(words)

    def decide(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """What the pair's own transmitter decides: [B, H, W, C] -> [B]."""
        parts = np.array_split(images, max(-(-len(images) // DECIDED), 1))
        return np.concatenate([self._decide(part) for part in parts])

    @cached_property
    def _own(self) -> NDArray[np.int64]:
        return self.decide(self.images)

    def tx_decided(self) -> NDArray[np.int64]:
        """The transmitter's own decision on each test image, int64 [N]."""
        return self._own

    @property
    def tx_accuracy(self) -> float:
        """Share of the test images that the transmitter itself has right, 0..1."""
        return float(np.mean(self._own == self.labels))

    @cached_property
    def encoder_cost(self) -> tuple[int, int]:
        """Parameters of the encoder, which decides as well, and its multiply-accumulates for one image."""
        from sctx.encoder import load_encoder
        from training.distillation.measure import transmitter_cost

        return transmitter_cost(load_encoder(self.manifest), self.manifest.preprocess)

    def _split(self, name: str) -> ImageSet:
        if name not in self._splits:
            share = share_of(self.manifest) if name == "train" else 1.0
            self._splits[name] = load_for(self.manifest, self.dataset, name, skip_bad=self.skip_bad, fraction=share)
        return self._splits[name]

    def _decide(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """By the encoder's own head; the receiver answers with the class that is most probable for that decision."""
        decided: NDArray[np.int64] = self._chain.encode(images)[:, 0].astype(np.int64)
        return decided

    @cached_property
    def _chain(self) -> "TransmitChain":
        from sctx.pipeline import TransmitChain

        return TransmitChain(self.manifest, self.device)


def plain_name(name: str) -> str:
    """A name as a part of a file's: what a manifest or a data set calls itself may hold anything."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name.rpartition("/")[2]).lstrip(".")[:40] or "_"


def _from_here(path: str) -> str:
    """A path below the working directory without what is above that."""
    full, here = Path(path), Path.cwd()
    return str(full.relative_to(here)) if full.is_absolute() and full.is_relative_to(here) else path
