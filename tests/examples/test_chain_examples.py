"""The worked examples of a task and an encoder: what they add is answered over the link like all the rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import scrx
import sctx
from common.errors import ConfigError, ModelError
from common.images.datasets import load_images
from common.pair.manifest import Manifest, find_pair
from common.pair.shapes import EncoderShape
from scrx.decoding.answerer import Answerer
from scrx.decoding.tasks import TASKS
from sctx.encoder import ENCODERS
from tests.examples.encoder import Strided, trained
from tests.examples.task import Parity, with_parity
from training.lab.evaluation import Lab, Setting
from training.recipes.recipe import load_recipe
from training.recipes.specs import Schedule
from training.words import arrivals

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGES = load_images("digits", "test")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The shipped pair with a further task."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASKS, Parity.name, Parity)
        return with_parity(find_pair("digits"), tmp_path_factory.mktemp("pair") / "parity")


def test_a_further_task_is_one_class(pair: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, Parity.name, Parity)
    shipped = find_pair("digits")
    soft = Lab(pair, IMAGES.images).hear(Setting("awgn", "estimated", 6.0, 8, 1, 0, 0, 0.0, 6.0), stream=1)
    rows = Answerer(pair).answer(replace(soft, tasks=[pair.tasks] * len(IMAGES)))
    assert np.mean([row["parity"]["even"] for row in rows] == (IMAGES.labels % 2 == 0)) > 0.93
    before = Answerer(shipped).answer(replace(soft, tasks=[shipped.tasks] * len(IMAGES)))
    assert [{name: row[name] for name in shipped.tasks} for row in rows] == before
    with scrx.Receiver("0", pair.path) as rx:
        address = rx.address.removeprefix("tcp://")
        with sctx.Transmitter(address, pair.path, sctx.Settings(policy="robust", tasks=("parity",))) as tx:
            answer = tx.send(IMAGES.images[0])
    assert set(answer.outputs) == {"parity"}
    assert answer.confidence == pytest.approx(answer.outputs["parity"]["confidence"], abs=1e-3)


def test_a_receiver_without_the_class_refuses_the_pair_in_one_line(pair: Manifest) -> None:
    with pytest.raises(ModelError, match=r"answers the task 'parity', and this version of semlink knows classify, emb"):
        scrx.Receiver("0", pair.path)


def test_another_encoder_is_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_recipe("digits")
    recipe = replace(digits, encoder=EncoderShape(12, 2, kind="strided"),
                     schedule=Schedule(epochs=4, batch=64, lr=8e-3, ema=0.9))  # fmt: skip
    with pytest.raises(ConfigError, match=r"no encoder of kind 'strided': this version of semlink has resnet"):
        trained(recipe, tmp_path)
    with monkeypatch.context() as patch:
        patch.setitem(ENCODERS, "strided", Strided)
        patch.setattr(arrivals, "DRAWS", 1000)  # of the tables of a pair, which are not asked for here
        pair = trained(recipe, tmp_path)
        setting = Setting("awgn", "estimated", 10.0, 16, 1, 0, 0, 0.0, 10.0)
        assert find_pair(pair.path).encoder == recipe.encoder
        right = Lab(pair, IMAGES.images).decide(setting, stream=0) == IMAGES.labels
        assert right.mean() > 0.4  # of ten classes, after a second of training
    with pytest.raises(ModelError, match=r"pair digits: no encoder of kind 'strided'"):
        sctx.Transmitter("127.0.0.1:9", pair.path)
