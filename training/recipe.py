"""A training recipe: one TOML file that fixes model, views, teacher, loss, channel and schedule.

Knows nothing about how any of it is carried out.
"""

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from common.errors import ConfigError, ModelError
from common.manifest import DecoderShape, EncoderShape, user_path
from common.phy.constellation import ORDERS
from common.phy.layout import Layout
from training.channel import Conditions
from training.losses import LossSpec
from training.views import ViewSpec

CONFIGS = Path(__file__).parent / "configs"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """What the encoder is fed; images of another size are fitted to it."""

    height: int = 32
    width: int = 32
    channels: int = 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """One cycle: the rate rises for a tenth of the steps and falls to 0 (Smith and Topin 2018)."""

    epochs: int = 30
    batch: int = 256
    lr: float = 3e-3
    weight_decay: float = 0.02
    ema: float = 0.99
    """Decay per step of the averaged weights that are kept."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    bf16: bool = False
    """Autocast of the convolutions to bfloat16, on processors that have it; GPUs always do."""

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or self.lr <= 0 or not 0 <= self.ema < 1:
            raise ConfigError(f"a schedule needs epochs and batch >= 1, lr > 0 and 0 <= ema < 1: {self}")
        if self.optimiser not in ("adamw", "muon"):
            raise ConfigError(f"unknown optimiser '{self.optimiser}': adamw or muon")


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """A `transformers` configuration and how to train it; `size` is the side to which images are resized for it."""

    model_type: str = "vit"
    config: dict[str, Any] = field(default_factory=dict)
    size: int = 32
    label_smoothing: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class DecisionSpec:
    """The second stage, `training.decisions`: its temperature and its schedule."""

    tau: float = 0.5
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        if self.tau <= 0:
            raise ConfigError(f"decisions.tau must be above 0, not {self.tau}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that `training.distill` needs beside a data set and a seed."""

    name: str
    image: ImageSpec
    layout: Layout
    order: int
    encoder: EncoderShape
    decoder: DecoderShape
    view: ViewSpec
    views: int
    encoding: str
    teacher: TeacherSpec
    loss: LossSpec
    channel: Conditions
    schedule: Schedule
    decisions: DecisionSpec | None = None
    fraction: float = 1.0
    """Share of the training images that is used, the first of a fixed shuffle: a smaller share is part of a larger."""
    threads: int = 0
    """CPU threads, 0 = all. Networks on tiny images gain nothing from a second, and lose much on a busy machine."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1, not {self.fraction}")

    def plain(self) -> dict[str, Any]:
        """As a JSON-ready dictionary: what a checkpoint and a manifest remember."""
        return asdict(self)


def load_recipe(name_or_file: str) -> Recipe:
    """A recipe by name (a file in training/configs) or by path. ConfigError names the key that is wrong."""
    path = CONFIGS / f"{name_or_file}.toml"
    if not path.is_file():
        path = user_path(name_or_file)
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in CONFIGS.glob("*.toml")))
        raise ConfigError(f"no recipe '{name_or_file}': give a TOML file or one of {known}")
    try:
        return _recipe(path.stem, _document(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path}: not TOML: {error}") from error
    except (ConfigError, ModelError, ValueError, TypeError, KeyError, OSError) as error:
        raise ConfigError(f"recipe {path}: {error}") from error


def adjusted(
    recipe: Recipe,
    epochs: int | None = None,
    views: int | None = None,
    encoding: str | None = None,
    loss: str | None = None,
    beta: float | None = None,
    hard: float | None = None,
    encoder: str | None = None,
    adaptive: bool = True,
    fraction: float | None = None,
) -> Recipe:
    """The recipe with what the command line says; None leaves a value as it is. encoder: "WIDTH,BLOCKS,STRIDE"."""
    if views is not None and views < 1:
        raise ConfigError(f"--views must be at least 1, not {views}")
    if epochs is not None:
        recipe = _in_proportion(recipe, epochs)
    wanted: dict[str, Any] = {
        key: value for key, value in (("kind", loss), ("beta", beta), ("hard", hard)) if value is not None
    }
    return replace(
        recipe,
        views=recipe.views if views is None else views,
        encoding=encoding or recipe.encoding,
        loss=replace(recipe.loss, **wanted),
        encoder=replace(_encoder(encoder, recipe.encoder), adaptive=recipe.encoder.adaptive and adaptive),
        fraction=recipe.fraction if fraction is None else fraction,
    )


def _in_proportion(recipe: Recipe, epochs: int) -> Recipe:
    """So many passes of the student, and of the other stages as many more or fewer; each has one at least."""

    def scaled(schedule: Schedule) -> Schedule:
        return replace(schedule, epochs=max(1, round(schedule.epochs * epochs / recipe.schedule.epochs)))

    return replace(
        recipe,
        schedule=replace(recipe.schedule, epochs=epochs),
        teacher=replace(recipe.teacher, schedule=scaled(recipe.teacher.schedule)),
        decisions=recipe.decisions and replace(recipe.decisions, schedule=scaled(recipe.decisions.schedule)),
    )


def _encoder(text: str | None, default: EncoderShape) -> EncoderShape:
    if text is None:
        return default
    try:
        width, blocks, stride = (int(part) for part in text.split(","))
        if min(width, blocks, stride) < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(f"--encoder '{text}': give WIDTH,BLOCKS,STRIDE of the stem, such as 16,3,1") from None
    try:
        return replace(default, width=width, blocks=blocks, stem_stride=stride)
    except ModelError as error:
        raise ConfigError(f"--encoder '{text}': {error}") from None


def adjusted_teacher(recipe: Recipe, epochs: int | None, fraction: float | None = None) -> Recipe:
    """The recipe with another number of epochs for its teacher, or another share of the images."""
    schedule = recipe.teacher.schedule if epochs is None else replace(recipe.teacher.schedule, epochs=epochs)
    return adjusted(replace(recipe, teacher=replace(recipe.teacher, schedule=schedule)), fraction=fraction)


def _document(path: Path) -> dict[str, Any]:
    """The file, over the recipe that its key `base` names."""
    document = tomllib.loads(path.read_text())
    base = document.pop("base", None)
    return document if base is None else _over(_document(CONFIGS / f"{base}.toml"), document)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Table by table, but a `config` as a whole: its keys belong to one type of model."""
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(below.get(key), dict) and key != "config"
        merged[key] = _over(below[key], value) if nested else value
    return merged


def _recipe(name: str, document: dict[str, Any]) -> Recipe:
    left = dict(document)
    layout = dict(left.pop("layout"))
    teacher = dict(left.pop("teacher", {}))
    schedule = _section(Schedule, "teacher.schedule", teacher.pop("schedule", {}))
    decisions = left.pop("decisions", None)
    order = int(layout.pop("order", 16))
    if order not in ORDERS:
        raise ConfigError(f"layout.order {order} is not one of {ORDERS}")
    recipe = Recipe(
        name=name,
        image=_section(ImageSpec, "image", left.pop("image", {})),
        layout=_section(Layout, "layout", {**layout, "increments": tuple(layout["increments"])}),
        order=order,
        encoder=_section(EncoderShape, "encoder", left.pop("encoder", {})),
        decoder=_section(DecoderShape, "decoder", left.pop("decoder", {})),
        view=_section(ViewSpec, "view", left.pop("view", {})),
        views=int(left.pop("views", 10)),
        encoding=str(left.pop("encoding", "int8")),
        teacher=_section(TeacherSpec, "teacher", {**teacher, "schedule": schedule}),
        loss=_section(LossSpec, "loss", left.pop("loss", {})),
        channel=_section(Conditions, "channel", left.pop("channel", {})),
        schedule=_section(Schedule, "schedule", left.pop("schedule", {})),
        decisions=None if decisions is None else _decisions(dict(decisions)),
        fraction=float(left.pop("fraction", 1.0)),
        threads=int(left.pop("threads", 0)),
    )
    if left:
        raise ConfigError(f"unknown key '{next(iter(left))}'")
    return recipe


def _decisions(values: dict[str, Any]) -> DecisionSpec:
    schedule = _section(Schedule, "decisions.schedule", values.pop("schedule", {}))
    return _section(DecisionSpec, "decisions", {**values, "schedule": schedule})


def _section(kind: type[T], name: str, values: dict[str, Any]) -> T:
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"unknown key '{name}.{unknown[0]}'; known: {', '.join(sorted(known))}")
    return kind(**values)
