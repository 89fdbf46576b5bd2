"""The split model: causality, and one image at a time against many; what a report changes."""

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from common.pair.speech import load_speech
from common.phy.layout import pilot_sequence
from common.phy.words import places
from scrx.decoding.answerer import Answerer
from scrx.decoding.tasks import confidence_of
from scrx.demodulation.demodulate import SoftBatch
from sctx.pipeline import TransmitChain
from tests.model.pairs import CLASSES, FEATURES, tiny_pair


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> TransmitChain:
    return TransmitChain(tiny_pair(tmp_path_factory.mktemp("pair")))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (32, 8, 8, 1), np.uint8)


def heard(rows: int, words: int = 2, tasks: tuple[str, ...] = ("classify",)) -> SoftBatch:
    """Noise, as a decoder is given it."""
    draw = np.random.default_rng(1)
    symbols = (draw.standard_normal((rows, 6)) + 1j * draw.standard_normal((rows, 6))).astype(np.complex64)
    gamma = np.where(draw.random((rows, 6)) < 0.8, 30 * draw.random((rows, 6)), 0).astype(np.float32)
    return SoftBatch(symbols, gamma, np.tile(places(6, words), (rows, 1)), [tasks] * rows)


def test_one_image_gets_the_features_and_symbols_it_gets_among_many(chain: TransmitChain, images: np.ndarray) -> None:
    many = chain.encode(images)
    alone = np.concatenate([chain.encode(image[None]) for image in images])
    assert np.abs(many - alone).max() <= 1e-4
    assert np.array_equal(many[:, 0], alone[:, 0])
    for words in (None, 0, 3):
        together = chain.modulate(many, words=words)
        single = np.concatenate([chain.modulate(row[None], words=words) for row in alone])
        # A value that close to a boundary may round either way; elsewhere the symbols are equal.
        assert (np.abs(together - single).max(1) < 1e-5).mean() > 0.9


def test_one_packet_gets_the_answer_it_gets_among_many(chain: TransmitChain) -> None:
    answerer, soft = Answerer(chain.manifest), heard(32)
    logits = answerer.logits(soft)
    for row in range(32):
        alone = SoftBatch(soft.symbols[row, None], soft.gamma[row, None], soft.place[row, None], soft.tasks[:1])
        assert np.abs(answerer.logits(alone)[0] - logits[row]).max() <= 1e-4


def test_how_many_symbols_are_the_words_is_all_that_a_report_changes(chain: TransmitChain, images: np.ndarray) -> None:
    encoded = chain.encode(images)
    whole = chain.modulate(encoded)
    assert np.array_equal(whole, chain.modulate(encoded, -5.0))
    assert np.array_equal(whole, chain.modulate(encoded, 20.0, 6))
    assert not np.array_equal(whole, chain.modulate(encoded, words=2))
    each = np.where(np.arange(32) < 16, 2, 4)
    mixed = chain.modulate(encoded, words=each)
    assert np.array_equal(mixed[:16], chain.modulate(encoded[:16], words=2))
    assert np.array_equal(mixed[16:], chain.modulate(encoded[16:], words=4))


def test_a_frame_is_pilots_then_the_increments_asked_for(chain: TransmitChain, images: np.ndarray) -> None:
    symbols = chain.modulate(chain.encode(images[:1]), 5.0, 3)[0]
    pilots = pilot_sequence(4)
    assert np.array_equal(chain.frame(symbols, 0, 1), np.concatenate((pilots, symbols)))
    assert np.array_equal(chain.frame(symbols, 1, 1), np.concatenate((pilots, symbols[2:])))
    assert chain.frame(symbols, 0, 0).dtype == np.complex64


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 8, 8), (1, 8, 8, 3), (1, 9, 8, 1)])
def test_images_of_another_shape_are_refused(chain: TransmitChain, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="uint8"):
        chain.encode(np.zeros(shape, np.uint8))


def test_answers_per_task(chain: TransmitChain) -> None:
    answerer, soft = Answerer(chain.manifest), heard(2)
    rows = answerer.answer(SoftBatch(soft.symbols, soft.gamma, soft.place, [("embedding", "classify"), ("embedding",)]))
    assert [list(row) for row in rows] == [["embedding", "classify"], ["embedding"]]
    answer, (classes, features) = rows[0]["classify"], answerer.hear(soft)
    assert answer["name"] == str(answer["index"])
    assert answer["index"] == classes[0].argmax()
    assert answer["confidence"] == pytest.approx(classes[0].max(), rel=1e-5)
    assert rows[1]["embedding"]["vector"] == features[1].tolist()
    assert features.shape == (2, FEATURES)
    assert [confidence_of(row) for row in rows] == [answer["confidence"], 1.0]
    with pytest.raises(ConfigError, match=r"unknown task 'caption': this receiver answers classify, embedding"):
        answerer.answer(heard(1, tasks=("classify", "caption")))


def test_what_was_not_received_says_nothing(chain: TransmitChain) -> None:
    blank = SoftBatch(np.zeros((1, 6), np.complex64), np.zeros((1, 6), np.float32), places(6, 2)[None], [("classify",)])
    classes, features = Answerer(chain.manifest).hear(blank)
    speech = load_speech(chain.manifest, "decoder")
    assert classes[0] == pytest.approx(np.full(CLASSES, 1 / CLASSES), abs=1e-6)
    assert features[0] == pytest.approx(speech.means.mean(0), abs=1e-5)


def test_probabilities_are_probabilities_whatever_comes(chain: TransmitChain) -> None:
    draw = np.random.default_rng(5)
    for scale in (1e-6, 1.0, 1e6):
        symbols = (scale * (draw.standard_normal((64, 6)) + 1j * draw.standard_normal((64, 6)))).astype(np.complex64)
        gamma = (10.0 ** draw.uniform(-8, 8, (64, 6))).astype(np.float32)
        soft = SoftBatch(symbols, gamma, np.tile(places(6, 2), (64, 1)), [("classify",)] * 64)
        classes, features = Answerer(chain.manifest).hear(soft)
        assert classes.sum(1) == pytest.approx(np.ones(64), abs=1e-4)
        assert np.isfinite(features).all()
