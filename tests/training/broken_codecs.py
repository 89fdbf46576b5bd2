"""Small codecs for the audit to look at: sound ones of several kinds, and ones that each break one rule.

A codec here is a random projection of the pixels with the nearest class mean, or what becomes of that; nothing is
trained, and all of it fits into one screen.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.images.datasets import load_images
from scrx.demodulation.demodulate import SoftBatch
from training.systems import carry
from training.systems.carry import Way
from training.systems.codec import Codec
from training.systems.system import Place

TRAIN, TEST = load_images("digits", "train"), load_images("digits", "test")
Images, Complex, Gamma = NDArray[np.uint8], NDArray[Any], NDArray[np.float32]
UNIT = 16


def unit(symbols: Complex) -> Complex:
    """Of unit mean power, each row by itself."""
    return symbols / np.sqrt(np.square(np.abs(symbols)).mean(-1, keepdims=True))


# -- sound


class Analog(Codec):
    """A random projection of the picture, as it is; the receiver takes the nearest class mean."""

    symbols = UNIT

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.mixing = random.normal(size=(64, 2 * UNIT))
        self.means = np.stack([self.project(TRAIN.images[TRAIN.labels == k]).mean(0) for k in range(10)])

    def project(self, images: Images) -> Complex:
        mixed = (images.reshape(len(images), -1) / 255.0 - 0.3) @ self.mixing
        return unit(mixed[:, :UNIT] + 1j * mixed[:, UNIT:])

    def encode(self, images: Images) -> Complex:
        return self.project(images)

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        return self.scores(symbols).argmax(-1)

    def scores(self, symbols: Complex) -> NDArray[Any]:
        return (symbols @ self.means.conj().T).real - 0.5 * np.square(np.abs(self.means)).sum(-1) * 0.7

    def decided(self, images: Images) -> NDArray[Any]:
        return self.scores(self.project(images)).argmax(-1)


class Pulses(Analog):
    """The label as the place of one strong symbol, all others silent: as many are for every label."""

    def encode(self, images: Images) -> Complex:
        return np.sqrt(UNIT) * np.eye(UNIT)[self.decided(images)].astype(np.complex128)

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        return symbols[:, :10].real.argmax(-1).astype(np.int32)


class Words(Analog):
    """The label as a word of unlike amplitudes, whose power is 1 but for rounding."""

    def encode(self, images: Images) -> Complex:
        random = np.random.default_rng(1)
        self.words = unit(random.normal(size=(10, UNIT)) + 1j * random.normal(size=(10, UNIT))).astype(np.complex64)
        return self.words[self.decided(images)]

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        random = np.random.default_rng(1)
        words = unit(random.normal(size=(10, UNIT)) + 1j * random.normal(size=(10, UNIT)))
        return (symbols @ words.conj().T).real.argmax(-1)


class Net(Analog):
    """Behind the projection a network with dropout and batch normalisation, both at rest."""

    train = False

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(torch.nn.BatchNorm1d(2 * UNIT), torch.nn.Dropout(0.1)).train(self.train)

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        parts = torch.from_numpy(np.concatenate((sent.real, sent.imag), -1).astype(np.float32))
        with torch.no_grad():
            mixed = self.net(parts).numpy()
        return unit(mixed[:, :UNIT] + 1j * mixed[:, UNIT:])


SOUND: tuple[Callable[[], Codec], ...] = (Analog, Pulses, Words, Net)


# -- what looks at others of its batch


class BatchAttention(Analog):
    """Each image attends to all of its batch."""

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        likeness = np.exp((sent @ sent.conj().T).real)
        return unit(sent + 0.1 * (likeness / likeness.sum(-1, keepdims=True)) @ sent)


class BatchPower(Analog):
    """The power of the batch is 1, and not that of each image."""

    def encode(self, images: Images) -> Complex:
        sent = self.project(images) * (1.0 + images.reshape(len(images), -1).mean(-1, keepdims=True) / 255.0)
        return sent / np.sqrt(np.square(np.abs(sent)).mean())


class BatchMean(Analog):
    """The mean of the batch is taken away."""

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        return unit(sent - sent.mean(0)) if len(sent) > 1 else sent


class LateAttention(Analog):
    """Only images far down a batch attend to those before them."""

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        sent[100:] = unit(sent[100:] + 0.1 * sent[:100].mean(0)) if len(sent) > 100 else sent[100:]
        return sent


class BatchNorm(Net):
    """A network that was left in training mode."""

    train = True


class Beside(Analog):
    """A picture next to a black one is sent otherwise."""

    def encode(self, images: Images) -> Complex:
        return self.project(images) * (-1.0 if not images.reshape(len(images), -1).any(-1).all() else 1.0)


class BatchAnswers(Analog):
    """The receiver knows that the classes of a batch are about equally many."""

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        scores = self.scores(symbols)
        return (scores - scores.mean(0)).argmax(-1)


class InTurn(Analog):
    """The receiver expects the images in the order in which it heard them first."""

    heard: NDArray[Any] | None = None

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        found = self.scores(symbols).argmax(-1)
        self.heard = found if self.heard is None else self.heard
        return self.heard if len(self.heard) == len(found) else found


# -- what draws at test time


class Sampling(Analog):
    """Sends a sample of a distribution, drawn as `draw` says."""

    @staticmethod
    def draw(shape: tuple[int, ...]) -> NDArray[Any]:
        return np.random.normal(size=shape)

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        return unit(sent + 0.1 * self.draw(sent.shape))


class TorchSampling(Sampling):
    @staticmethod
    def draw(shape: tuple[int, ...]) -> NDArray[Any]:
        return torch.randn(shape).numpy()


class SystemSampling(Sampling):
    @staticmethod
    def draw(shape: tuple[int, ...]) -> NDArray[Any]:
        return np.random.default_rng(int.from_bytes(os.urandom(8))).normal(size=shape)


OWN = np.random.default_rng(9)


class OwnSampling(Sampling):
    """By a generator that nobody seeds anew."""

    @staticmethod
    def draw(shape: tuple[int, ...]) -> NDArray[Any]:
        return OWN.normal(size=shape)


class DropoutLeftOn(Net):
    """A network whose dropout was left in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.net[1].train()


class SampledAnswers(Analog):
    """Answers are drawn by their likelihood."""

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        scores = self.scores(symbols)
        return (scores + np.random.gumbel(size=scores.shape)).argmax(-1)


class EveryOther(Analog):
    """Every second batch is sent otherwise."""

    calls = 0

    def encode(self, images: Images) -> Complex:
        self.calls += 1
        return self.project(images) * (-1.0) ** self.calls


# -- what tells the label beside the symbols


class InPower(Analog):
    """The label is the power, within what a transmitter may err by."""

    step = 0.001

    def encode(self, images: Images) -> Complex:
        return self.project(images) * np.sqrt(1.0 + self.step * (self.decided(images)[:, None] - 5))


class InLoudPower(InPower):
    step = 0.05


class LouderWhenTold(Analog):
    """More power where the channel is said to be bad, or nothing is said."""

    def encode_told(self, images: Images, told_db: float) -> Complex:
        return self.project(images) * (1.0 if told_db > 0 else 1.1)


class InSilence(Analog):
    """The label is how many symbols are sent."""

    def encode(self, images: Images) -> Complex:
        sent = np.arange(UNIT) < UNIT - self.decided(images)[:, None]
        return unit(self.project(images) * sent)


class InLength(Analog):
    """The label is how many symbols there are: one image alone has as many as it likes."""

    def encode(self, images: Images) -> Complex:
        return self.project(images)[:, : UNIT - (int(self.decided(images)[0]) if len(images) == 1 else 0)]


class InLayout(InLength):
    """The same, and it says so."""

    def encode(self, images: Images) -> Complex:
        sent = super().encode(images)
        self.symbols = sent.shape[1]
        return sent


class Remembers(Analog):
    """The receiver answers what the transmitter saw last, whatever it heard."""

    last: NDArray[Any] | None = None

    def encode(self, images: Images) -> Complex:
        self.last = self.decided(images)
        return self.project(images)

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        return super().decode(symbols, snr) if self.last is None else np.resize(self.last, len(symbols))


class RemembersAll(Analog):
    """The receiver looks its symbols up among all that were sent, and answers what was decided about that image."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Complex = np.zeros((0, UNIT))
        self.seen: NDArray[Any] = np.zeros(0, int)

    def encode(self, images: Images) -> Complex:
        sent = self.project(images)
        self.sent, self.seen = np.concatenate((self.sent, sent)), np.concatenate((self.seen, self.decided(images)))
        return sent

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        if not len(self.sent):
            return super().decode(symbols, snr)
        return self.seen[(symbols @ self.sent.conj().T).real.argmax(-1)]


SHELF: list[tuple[Complex, NDArray[Any]]] = []


class RemembersForAll(RemembersAll):
    """The same in a place that all codecs of a process share."""

    def encode(self, images: Images) -> Complex:
        SHELF.append((self.project(images), self.decided(images)))
        return SHELF[-1][0]

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        self.sent = np.concatenate([np.zeros((0, UNIT)), *(sent for sent, _ in SHELF)])
        self.seen = np.concatenate([np.zeros(0, int), *(seen for _, seen in SHELF)])
        return super().decode(symbols, snr)


class KnowsTheTest(Pulses):
    """The transmitter looks the label up: it knows the pictures of the test by their bytes."""

    def decided(self, images: Images) -> NDArray[Any]:
        known = {image.tobytes(): label for image, label in zip(TEST.images, TEST.labels, strict=True)}
        guessed = super().decided(images)
        return np.array([known.get(image.tobytes(), k) for image, k in zip(images, guessed % 3, strict=True)])


class Labels(Pulses):
    """The transmitter looks the label up in the bench that it is given, whatever the picture was changed to."""

    def __init__(self, symbols: int, bench: Any) -> None:
        super().__init__()
        self.known = bench

    def decided(self, images: Images) -> NDArray[Any]:
        apart = np.abs(images[:, None].astype(int) - self.known.images[None, :].astype(int)).sum((2, 3, 4))
        return np.where(apart.min(1) < 99, self.known.labels[apart.argmin(1)], super().decided(images))


class Given(Analog):
    """A sound one, made as a suite makes it."""

    def __init__(self, symbols: int, bench: Any) -> None:
        super().__init__()


# -- what is not of the form


class Real(Analog):
    def encode(self, images: Images) -> Complex:
        return self.project(images).real


class NoNumber(Analog):
    def encode(self, images: Images) -> Complex:
        return self.project(images) * np.nan


class Scores(Analog):
    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        return self.scores(symbols)


class OnlyMany(Analog):
    def encode(self, images: Images) -> Complex:
        if len(images) == 1:
            raise IndexError("needs a batch")
        return self.project(images)


class Backwards(Analog):
    """Better where there is noise."""

    def decode(self, symbols: Complex, snr: Gamma) -> NDArray[Any]:
        clear = snr.mean(-1) > 10.0
        return np.where(clear, 0, super().decode(symbols, snr))


# -- channels


def renormalised(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Fades are made good again: every frame arrives at the average SNR."""
    return carry.hear(way, symbols, Place("awgn", place.csi, place.n, place.snr_db), stream, seed)


def renormalised_in_secret(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """The same, and the receiver is told the SNR that it would have had."""
    soft = carry.hear(way, symbols, place, stream, seed)
    g, even = soft.gamma.astype(np.float64), 10.0 ** (place.snr_db / 10.0)
    left = soft.symbols * (1 + g) - symbols * g  # noise times sqrt(g)
    cheated = (symbols * g + left * np.sqrt(np.minimum(g, even) / even)) / (1 + g)
    return SoftBatch(cheated.astype(np.complex64), soft.gamma, soft.place, soft.tasks)


def half_noise(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """N0 per real dimension where it was meant per complex symbol."""
    soft = carry.hear(way, symbols, Place(place.channel, place.csi, place.n, place.snr_db + 3.0103), stream, seed)
    g = soft.gamma / 2
    return SoftBatch(
        (soft.symbols * (g + 0.5) / (g + 1.0)).astype(np.complex64), g.astype(np.float32), soft.place, soft.tasks
    )


def another_snr(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Eb/N0 of 4 bits where it was meant Es/N0."""
    return carry.hear(way, symbols, Place(place.channel, place.csi, place.n, place.snr_db + 6.02), stream, seed)


def one_for_all(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """One h for the whole batch."""
    soft = carry.hear(way, symbols, place, stream, seed)
    first = soft.gamma[:1].astype(np.float64)
    left = (soft.symbols * (1 + soft.gamma) - symbols * soft.gamma) / np.sqrt(soft.gamma)
    again = (symbols * first + left * np.sqrt(first)) / (1 + first)
    return SoftBatch(
        again.astype(np.complex64), np.broadcast_to(soft.gamma[:1], soft.gamma.shape), soft.place, soft.tasks
    )


def h_for_each_symbol(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """h is drawn for each symbol, so that no frame ever fades."""
    soft = carry.hear(way, symbols, place, stream, seed)
    gamma = np.stack([np.roll(column, k) for k, column in enumerate(soft.gamma.T)], -1)
    left = (soft.symbols * (1 + soft.gamma) - symbols * soft.gamma) / np.sqrt(soft.gamma)
    return SoftBatch(
        ((symbols * gamma + left * np.sqrt(gamma)) / (1 + gamma)).astype(np.complex64), gamma, soft.place, soft.tasks
    )


def levelled(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """What is sent is brought to unit power on the air, over the whole batch."""
    level = np.sqrt(np.square(np.abs(symbols)).mean())
    return carry.hear(way, (symbols / level).astype(np.complex64), place, stream, seed)


def fewer_fades(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Frames in a deep fade are sent again until they are not."""
    soft = carry.hear(way, symbols, place, stream, seed)
    other = carry.hear(way, symbols, place, stream + 1, seed)
    better = other.gamma > soft.gamma
    return SoftBatch(
        np.where(better, other.symbols, soft.symbols), np.maximum(soft.gamma, other.gamma), soft.place, soft.tasks
    )


def no_noise_left(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """The receiver subtracts the noise that it was told."""
    soft = carry.hear(way, symbols, place, stream, seed)
    return SoftBatch((symbols * soft.gamma / (1 + soft.gamma)).astype(np.complex64), soft.gamma, soft.place, soft.tasks)


def wrong_estimate(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """With pilots, each frame is given the SNR of the frame before."""
    soft = carry.hear(way, symbols, place, stream, seed)
    gamma = np.roll(soft.gamma, 1, 0) if place.csi == "estimated" else soft.gamma
    return SoftBatch(soft.symbols, gamma, soft.place, soft.tasks)


def even_noise(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Noise of the right power that never is strong."""
    soft = carry.hear(way, symbols, place, stream, seed)
    left = soft.symbols * (1 + soft.gamma) - symbols * soft.gamma
    even = np.sqrt(soft.gamma) * left / np.abs(left)
    return SoftBatch(
        ((symbols * soft.gamma + even) / (1 + soft.gamma)).astype(np.complex64), soft.gamma, soft.place, soft.tasks
    )


def same_noise(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Every second frame has the noise of the one before."""
    soft = carry.hear(way, symbols, place, stream, seed)
    left = (soft.symbols * (1 + soft.gamma) - symbols * soft.gamma) / np.sqrt(soft.gamma)
    left[1::2] = left[: len(left) // 2 * 2 : 2]
    again = (symbols * soft.gamma + left * np.sqrt(soft.gamma)) / (1 + soft.gamma)
    return SoftBatch(again.astype(np.complex64), soft.gamma, soft.place, soft.tasks)


def renormalised_where_estimated(way: Way, symbols: Complex, place: Place, stream: int, seed: int) -> SoftBatch:
    """Only with pilots are fades made good again, and nothing is told of it."""
    honest = place.csi != "estimated"
    return (carry.hear if honest else renormalised_in_secret)(way, symbols, place, stream, seed)
