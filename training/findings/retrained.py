"""Pairs and their rivals trained again and put through a suite, all with the same seed: the orders, in groups.

Knows nothing about what comes of them. Within a group only the training seed differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from training.findings.order import Order

RIVALS = "vfe,dt-jscc-ours"
"""Published methods on our encoder, which are trained with each pair."""
TRIALS = 4


@dataclass(frozen=True, slots=True)
class Group:
    """title: as tables call it; orders: name of the result -> order, by training seed."""

    title: str
    orders: Mapping[str, Order]


def again(suite: str, pair: str, seed: int, data: str, distilled: str, rivals: str, asked: str = "",
          first: tuple[str, ...] = ()) -> Order:  # fmt: skip
    """distilled: words of `training.distill`; rivals: what is fitted for the pair, "" for nothing; asked: more words of
    the suite; first: what is made before."""
    folder = f"build/pairs/{pair}"
    made = [*first, f"python -m training.distill {distilled} --seed {seed} --out {folder}"]
    if rivals:
        made.append(f"python -m training.baseline --suite {suite} --pair {folder} --dataset {data} --system {rivals}"
                    f" --trials {TRIALS} --seed {seed}")  # fmt: skip
    only = ",".join(("ours", "label-code", *filter(None, [rivals])))
    words = f"-m training.evaluate --suite {suite} --pair {folder} --dataset {data} --only {only}{asked}"
    return Order(words, (folder,), f"--out/{suite}.json", training_seeds=(seed,), trains=" && ".join(made))


TEACHER = "build/teachers/cifar10"
TAUGHT = (f"python -m training.teacher --recipe cifar10 --dataset cifar10 --out {TEACHER}",)
LARGE = f"--recipe cifar10 --dataset cifar10 --teacher {TEACHER}"
PART = "--recipe digits --fraction 0.1 --epochs 569"
"""As many passes more as `training.fractions` gives to a tenth: 180 by its root."""
CIFAR10 = Group("cifar10, trained again", {
    (name := f"cifar10-seed-{seed}"): again("cifar10", name, seed, "cifar10", LARGE, "", " --images 2000", TAUGHT)
    for seed in range(3)})  # fmt: skip
DIGITS = Group("digits, trained again", {
    (name := f"digits-seed-{seed}"): again("quick", name, seed, "digits", "--recipe digits", f"{RIVALS},dt-jscc")
    for seed in (1, 2)})  # fmt: skip
TENTH = Group("digits, 10 % of the images", {
    (name := f"digits-tenth-{seed}"): again("quick", name, seed, "digits", PART, f"{RIVALS},dt-jscc,jpeg-ldpc")
    for seed in range(3)})  # fmt: skip
GROUPS = (CIFAR10, DIGITS, TENTH)
