"""VFE (Shao et al. 2022, arXiv 2102.04170): features as they are on the air, fewer of them where the channel is good.

Knows nothing about pairs, files or how settings are chosen. The loss is the variational information bottleneck with a
log-uniform prior (Kingma et al. 2015, Molchanov et al. 2017), KL by dimension:

    L = D(answer) + beta (0.1 / sigma) sum_i KL(sigma^2 / x_i^2)

Gates ascend with the noise and descend with the index, so that what is sent is a prefix (the paper's VL-VFE). There
each real dimension has a peak of 1 and the noise a sigma of 0.05 to 0.32. Here every image has unit mean power instead:
amplitude as a whole says nothing, noise is that of Es/N0, and the prior cannot make all features small: it can only
gather the power in few of them.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scrx.demodulation.equalise import mmse_tap
from training.recipes.specs import LossSpec
from training.student.losses import distortion
from training.systems.codec import Codec
from training.trained.family import Family, Space, Weights
from training.trained.fronts import OURS, Examples, Front, linear_macs, mlp, widened
from training.trained.small_nets import Settings, SmallNet, fitted

LOW_DB, HIGH_DB = -10.0, 20.0
"""Average SNRs of training, half of it under block Rayleigh as ours."""
THRESHOLD = 1e-2
"""Gates up to here are shut; as published."""
K1, K2, K3 = 0.63576, 1.8732, 1.48695
"""Of the approximation (Molchanov et al. 2017, eq. 14)."""
HEARD = 16
"""Units that say how noisy it is; as published."""


class Analog(SmallNet):
    """Encoder, gates and decoder. Two real numbers make a symbol, which has one gate."""

    low_db, high_db = LOW_DB, HIGH_DB

    def __init__(
        self, wide_in: int, classes: int, symbols: int, before: int, hidden: int, beta: float, loss: LossSpec
    ) -> None:
        super().__init__()
        self.symbols, self.beta, self.loss = symbols, beta, loss
        self.before = mlp(wide_in, before, before) if before else nn.Sequential()
        self.last = nn.Linear(before or wide_in, 2 * symbols)
        self.gates = nn.ParameterList(
            [nn.Parameter(0.1 * torch.randn(b, a)) for a, b in ((1, 16), (16, 16), (16, 16), (16, symbols))]
        )
        self.noise = mlp(1, HEARD, HEARD)
        self.first = nn.Linear(2 * symbols, hidden)
        self.rest = mlp(hidden + HEARD, max(hidden // 4, 2 * classes), classes)

    def gate(self, told_db: Tensor) -> Tensor:
        """float [B] -> float [B, S], ascending with the noise and descending along S."""
        low, high = self.low_db, self.high_db
        x = (0.1 + 0.9 * (high - told_db.clamp(low, high)) / (high - low))[:, None]
        for weight in self.gates:
            x = torch.tanh(x @ weight.abs().T)
        return x.flip(-1).cumsum(-1).flip(-1).clamp(min=1e-4)

    def active(self, told_db: Tensor) -> Tensor:
        """float [B] -> which symbols are sent, bool [B, S]: a prefix of one at least."""
        first = torch.arange(self.symbols) == 0
        return (self.gate(told_db) > THRESHOLD) | first

    def send(self, inputs: Tensor, told_db: Tensor) -> Tensor:
        """float [B, D], float [B] -> symbols complex64 [B, S] of unit mean power over the active ones, 0 elsewhere."""
        norm = (self.last.weight.square().sum(1) + self.last.bias.square()).sqrt()
        x = (self.last(self.before(inputs).relu() if len(self.before) else inputs) / norm).unflatten(-1, (-1, 2))
        x = torch.tanh(self.gate(told_db)[..., None] * x)
        on = self.active(told_db).to(x.dtype)
        kept = x + (x * on[..., None] - x).detach()  # straight through a shut gate, as published
        return torch.view_as_complex(self.powered(kept, on).contiguous())

    def powered(self, kept: Tensor, on: Tensor) -> Tensor:
        """Unit mean power over the active symbols of each image: float [B, S, 2], float [B, S] -> float [B, S, 2]."""
        power = kept.square().sum((1, 2)) / on.sum(-1)
        return kept / power.clamp(min=1e-12).sqrt()[:, None, None]

    def n0(self, told_db: Tensor) -> Tensor:
        """Noise of a complex symbol at the SNR that was told, float [B]."""
        return 10 ** (-told_db / 10)

    def answers(self, symbols: Tensor, snr: Tensor) -> Tensor:
        """Equalised symbols, complex64 [B, S], 0 where none was sent, and their linear SNR, float [B] -> [B, C]."""
        noise = (10 * snr.clamp(1e-4, 1e4).log10() - 5.0) / 15.0
        first = self.first(torch.view_as_real(symbols).flatten(1)).relu()
        logits: Tensor = self.rest(torch.cat((first, self.noise(noise[:, None]).relu()), -1))
        return logits

    def draw(self, batch: int, random: torch.Generator) -> tuple[Tensor, ...]:
        """Average SNR in dB float [B], gain complex64 [B], noise complex64 [B, S]."""
        told = self.low_db + (self.high_db - self.low_db) * torch.rand(batch, generator=random)
        gain = torch.randn(batch, dtype=torch.complex64, generator=random)
        gain = torch.where(torch.rand(batch, generator=random) < 0.5, gain, torch.ones(1, dtype=torch.complex64))
        return told, gain, torch.randn(batch, self.symbols, dtype=torch.complex64, generator=random)

    def forward(self, inputs: Tensor, labels: Tensor, own: Tensor, *drawn: Tensor) -> Tensor:
        told, gain, noise = drawn
        n0 = self.n0(told)
        sent, on = self.send(inputs, told), self.active(told)
        power = gain.abs().square()
        heard = (gain[:, None] * sent + n0.sqrt()[:, None] * noise) * mmse_tap(gain.conj(), power, n0)[:, None]
        logits = self.answers(heard * on, power / n0)
        alpha = (n0 / 2)[:, None, None] / (torch.view_as_real(sent).square() + 1e-4)
        sigma = (n0 / 2).sqrt()
        rate = (kl_log_uniform(alpha).flatten(1).sum(1) * (0.1 / sigma)).mean()
        return distortion(logits, own, labels, self.loss) + self.beta * rate

    @property
    def sender_cost(self) -> tuple[int, int]:
        """Parameters and multiply-accumulates of encoder and gates, for one image."""
        own = [*self.before.parameters(), *self.last.parameters(), *self.gates]
        macs = linear_macs(self.before, self.last) + sum(one.numel() for one in self.gates)
        return sum(one.numel() for one in own), macs


def kl_log_uniform(alpha: Tensor) -> Tensor:
    """KL of N(x, alpha x^2) from the log-uniform prior, up to a constant; alpha: float [...] (ibid., eq. 14)."""
    log = alpha.log()
    return K1 - K1 * torch.sigmoid(K2 + K3 * log) + 0.5 * nn.functional.softplus(-log)


class VfeCodec(Codec):
    """A model at one told SNR: so many symbols are sent as its gates leave open there."""

    def __init__(self, net: Analog, front: Front, told_db: float) -> None:
        self._net, self._front, self._told = net, front, told_db
        with torch.no_grad():
            self.symbols = int(net.active(torch.tensor([told_db])).sum())
        parameters, macs = net.sender_cost
        self.parameters, self.macs = front.parameters + parameters, float(front.macs + macs)

    @torch.no_grad()
    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.complex64]:
        sent = self._net.send(self._front.of(images), torch.full((len(images),), self._told))
        symbols: NDArray[np.complex64] = sent[:, : self.symbols].numpy()
        return symbols

    @torch.no_grad()
    def decode(self, symbols: NDArray[np.complex64], snr: NDArray[np.float32]) -> NDArray[np.int64]:
        heard = torch.zeros(len(symbols), self._net.symbols, dtype=torch.complex64)
        heard[:, : self.symbols] = torch.from_numpy(symbols)
        answers: NDArray[np.int64] = self._net.answers(heard, torch.from_numpy(snr).mean(1)).argmax(-1).numpy()
        return answers


class Vfe(Family):
    """One model for each number of uses, for every SNR."""

    name = "vfe"
    source = "Shao et al. 2022, arXiv 2102.04170: VL-VFE on the pair's own encoder; unit mean power, no peak of 1"
    front = OURS
    space: ClassVar[Space] = {
        "beta": (1e-3, 1e-4, 1e-5, 1e-2),
        "lr": (1e-3, 3e-3, 1e-2),
        "before": (0, 64),
        "hidden": (128, 96),
        "hard": (1.0, 0.1),
        "epochs": (40, 80),
        "batch": (128,),
    }
    reference = ("d16",)

    def members(self) -> tuple[str, ...]:
        return tuple(f"d{uses}" for uses in (6, 8, 12, 16, 28, 32, 56, 64))

    def fit(self, member: str, examples: Examples, settings: Settings, folder: Path, seed: int) -> Weights:
        wide, classes = examples.front.wide, len(examples.images.classes)
        net = fitted(lambda: _net(member, settings, wide, classes), examples, settings, folder, seed)
        return dict(net.state_dict())

    def codec(
        self, member: str, weights: Weights, settings: Settings, front: Front, classes: int, uses: int, told_db: float
    ) -> Codec | None:
        if int(member[1:]) != uses:
            return None
        net = _net(member, settings, front.wide, classes)
        net.load_state_dict(weights)
        return VfeCodec(net.eval(), front, told_db)


def _net(member: str, settings: Settings, wide: int, classes: int) -> Analog:
    symbols, loss = int(member[1:]), LossSpec(hard=settings["hard"], tau=2.0)
    hidden = widened(settings["hidden"], classes)
    return Analog(wide, classes, symbols, settings["before"], hidden, settings["beta"], loss)
