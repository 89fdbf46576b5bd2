"""A method of another kind, brought in from outside: SoftCast, the picture itself as analog symbols.

    python -m training.evaluate --suite quick --codec tests/examples/softcast.py:SoftCast

After Jakubczak and Katabi, "SoftCast: one-size-fits-all wireless video" (MIT, 2010). No code and no quantiser: the
coefficients of the picture's cosine transform are scaled and sent as they are, the strongest where not all fit, and the
receiver's linear estimate of least square error fades with the channel. Power goes to a coefficient of variance l in
proportion to sqrt(l) (their 3.2), so its scale is l^(-1/4).

Two things differ from the paper. Each picture has unit power by itself, as all that is compared here; its norm is
lost, and so are the means that the paper sends beside the picture: those of train stand in their place. And a picture
is not what is asked for here, so the receiver classifies what it restored, with a small network fitted on train.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from sklearn.neural_network import MLPClassifier

from training.systems.bench import Bench
from training.systems.codec import Codec

TRAINED_DB = (-4.0, 2.0, 8.0, 20.0)
"""Es/N0 of the pictures that the classifier is fitted on, a copy of train at each."""
MOST, PASSES = 10_000, 8
"""Pictures that are fitted on at most, and how often each is seen at each SNR."""
Floats = NDArray[np.float64]


class SoftCast(Codec):
    """`symbols` complex symbols carry twice as many coefficients; where there are fewer, each is sent again."""

    name = "softcast"
    pilots = 4

    def __init__(self, symbols: int, bench: Bench) -> None:
        self.symbols = symbols
        train = bench.train()
        images, labels = train.images[:MOST], train.labels[:MOST]
        whole = _transform(images)
        self._mean, variance = whole.mean(0), whole.var(0)
        self._sent = np.resize(np.argsort(-variance, kind="stable")[: 2 * symbols], 2 * symbols)
        self._scale = np.maximum(variance[self._sent], 1e-9 * variance.max()) ** -0.25
        height, width, channels = images.shape[1:]
        self.macs = float(height * width * channels * (height + width) + 4 * symbols)

        real = _real(self.encode(images))
        kept = whole[:, np.unique(self._sent)] - self._mean[np.unique(self._sent)]
        self._cross, (self._power, self._axes) = kept.T @ real / len(real), np.linalg.eigh(real.T @ real / len(real))
        self._spread = np.sqrt(variance[np.unique(self._sent)]) + 1e-9
        self._classifier = self._fitted(real, labels, len(bench.classes))

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex128]:
        """uint8 [B, H, W, C] -> complex128 [B, S]: two coefficients are one symbol."""
        scaled = (_transform(images) - self._mean)[:, self._sent] * self._scale
        power = np.mean(scaled**2, axis=1, keepdims=True)
        scaled = np.where(power > 0.0, scaled / np.sqrt(2.0 * np.maximum(power, 1e-300)), np.sqrt(0.5))
        return scaled[:, : self.symbols] + 1j * scaled[:, self.symbols :]

    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        """The class of what is restored from each row, int64 [B]."""
        found: NDArray[np.int64] = self._classifier.predict(self._restored(_real(symbols), snr[:, :1])).astype(np.int64)
        return found

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """See `Codec`."""
        layers = [*self._classifier.coefs_, *self._classifier.intercepts_]
        return {"mean": self._mean, "sent": self._sent, "scale": self._scale, "cross": self._cross} | {
            f"classifier.{k}": layer for k, layer in enumerate(layers)
        }

    def _restored(self, heard: Floats, snr: NDArray[Any]) -> Floats:
        """The linear estimate of least square error: heard [B, 2 S], snr linear [B, 1] -> [B, K], of unit variance.

        heard = a z + w, a = snr/(1 + snr), Var w = snr/(1 + snr)^2 / 2 per real number:

            E[c z'] a (a^2 E[z z'] + Var w)^-1 heard
        """
        snr = np.maximum(snr.astype(np.float64), 1e-6)
        a, noise = snr / (1.0 + snr), snr / (1.0 + snr) ** 2 / 2.0
        seen = heard @ self._axes * (a / (a**2 * np.maximum(self._power, 0.0) + noise))
        restored: Floats = seen @ (self._cross @ self._axes).T / self._spread
        return restored

    def _fitted(self, sent: Floats, labels: NDArray[np.int64], classes: int) -> MLPClassifier:
        """A network of one hidden layer for pictures restored at any SNR."""
        rng = np.random.default_rng(0)
        network = MLPClassifier((128,), batch_size=200, learning_rate_init=2e-3, random_state=0)
        for _ in range(PASSES):
            for snr in (10.0 ** (db / 10.0) for db in TRAINED_DB):
                noise = rng.normal(0.0, np.sqrt(snr / 2.0) / (1.0 + snr), sent.shape)
                restored = self._restored(sent * snr / (1.0 + snr) + noise, np.full((len(sent), 1), snr))
                network.partial_fit(restored, labels, classes=np.arange(classes))
        return network


def _transform(images: NDArray[np.uint8]) -> Floats:
    """uint8 [B, H, W, C] -> orthonormal cosine transform of each plane, [B, H W C]."""
    coefficients: Floats = dctn(images.astype(np.float64) / 255.0, axes=(1, 2), norm="ortho")
    return coefficients.reshape(len(images), -1)


def _real(symbols: NDArray[Any]) -> Floats:
    """complex [B, S] -> [B, 2 S]."""
    return np.concatenate([symbols.real, symbols.imag], 1).astype(np.float64)
