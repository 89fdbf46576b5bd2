"""A training recipe: one TOML file that fixes model, views, teacher, loss and schedule.

Knows nothing about how any of it is carried out.
"""

import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import ConfigError, ModelError
from common.files import user_path
from common.pair.shapes import EncoderShape, without_default_kind
from common.phy.constellation import ORDERS
from common.phy.layout import Layout
from common.text import safe
from common.typed import decode
from training.recipes.specs import (
    EMBEDDING_BYTES,
    SIDE,
    VIEWS,
    WIDEST,
    ImageSpec,
    LossSpec,
    Schedule,
    TeacherSpec,
    ViewSpec,
    refuse_outside,
)

CONFIGS = Path(__file__).parents[1] / "configs"
BYTES = 1 << 20
"""Largest recipe."""
DEFAULTS: dict[str, Any] = {
    "views": 10, "encoding": "int8", "image": {}, "encoder": {}, "view": {}, "teacher": {}, "loss": {}, "schedule": {},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that `training.distill` needs beside a data set and a seed."""

    name: str
    image: ImageSpec
    layout: Layout
    order: int
    encoder: EncoderShape
    view: ViewSpec
    views: int
    encoding: str
    teacher: TeacherSpec
    loss: LossSpec
    schedule: Schedule
    fraction: float = 1.0
    """Share of the training images that is used, the first of a fixed shuffle: a smaller share is part of a larger."""
    embedding: int = 0
    """Bytes of the teacher's embedding that the store keeps for each image and view; 0: none."""
    threads: int = 0
    """CPU threads, 0 = all. Networks on tiny images gain nothing from a second, and lose much on a busy machine."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ConfigError(f"fraction must be above 0 and at most 1, not {self.fraction}")
        if self.order not in ORDERS:
            raise ConfigError(f"layout.order {self.order} is not one of {ORDERS}")
        self.layout.require_pilots()
        encoder = self.encoder
        for key, value, least, most in (
            ("views", self.views, 1, VIEWS), ("threads", self.threads, 0, 1024),
            ("embedding", self.embedding, 0, EMBEDDING_BYTES),
            ("encoder.width", encoder.width, 1, WIDEST), ("encoder.blocks", encoder.blocks, 1, 100),
            ("encoder.stem_stride", encoder.stem_stride, 1, 64),
            ("view.shift", self.view.shift, 0, SIDE), ("view.shear", self.view.shear, 0, SIDE),
            ("view.cutout", self.view.cutout, 0, SIDE),
        ):  # fmt: skip
            refuse_outside(key, value, least, most)
        if self.loss.embedding and not self.embedding:
            raise ConfigError("loss.embedding needs the key embedding: bytes of it that the store keeps, such as 64")

    def plain(self) -> dict[str, Any]:
        """As a JSON-ready dictionary: what a checkpoint and a manifest remember."""
        plain = asdict(self)
        return {**plain, "encoder": without_default_kind(plain["encoder"])}


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
    except (ConfigError, ModelError, ValueError, TypeError, OSError) as error:
        raise ConfigError(f"recipe {path}: {safe(error, 400)}") from error
    except RecursionError as error:
        raise ConfigError(f"recipe {path}: not TOML that a recipe needs: nested too deep") from error


def adjusted(
    recipe: Recipe,
    epochs: int | None = None,
    views: int | None = None,
    encoding: str | None = None,
    hard: float | None = None,
    encoder: str | None = None,
    fraction: float | None = None,
    embedding: int | None = None,
) -> Recipe:
    """The recipe with what the command line says; None leaves a value as it is. encoder: "WIDTH,BLOCKS,STRIDE".

    hard = 1 is true labels and no teacher, so no embedding of its either.
    """
    if views is not None and views < 1:
        raise ConfigError(f"--views must be at least 1, not {views}")
    if epochs is not None:
        recipe = _in_proportion(recipe, epochs)
    wanted: dict[str, Any] = {} if hard is None else {"hard": hard}
    if hard == 1:
        wanted["embedding"] = 0.0
    return replace(
        recipe,
        views=recipe.views if views is None else views,
        encoding=encoding or recipe.encoding,
        embedding=recipe.embedding if embedding is None else embedding,
        loss=replace(recipe.loss, **wanted),
        encoder=_encoder(encoder, recipe.encoder),
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
    if path.stat().st_size > BYTES:
        raise ConfigError(f"it has {path.stat().st_size:,} bytes; no recipe has more than {BYTES:,}")
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    base = document.pop("base", None)
    if base is None:
        return document
    known = {found.stem: found for found in CONFIGS.glob("*.toml")}
    if not isinstance(base, str) or base not in known:
        raise ConfigError(f"base = {safe(repr(base), 40)} is none of {', '.join(sorted(known))}")
    return _over(_document(known[base]), document)


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Table by table, but a `config` as a whole: its keys belong to one type of model."""
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(below.get(key), dict) and key != "config"
        merged[key] = _over(below[key], value) if nested else value
    return merged


def _recipe(name: str, document: dict[str, Any]) -> Recipe:
    if taken := sorted({"name", "order"} & set(document)):
        raise ConfigError(f"unknown key '{taken[0]}'")
    layout = document.get("layout")
    if not isinstance(layout, dict):
        raise ConfigError("it needs a table [layout] with increments")
    order = layout.get("order", 16)
    written = {**DEFAULTS, **document, "name": name, "order": order}
    return decode(Recipe, {**written, "layout": {key: layout[key] for key in layout if key != "order"}}, "")
