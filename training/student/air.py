"""The channel inside training: the emulator's mathematics in torch, then the receiver's estimator and equaliser.

Knows nothing about networks or losses. `common.channel` is the emulator's own, and `scrx.demodulation` the receiver's;
tests hold both together with what is here.

y = h x + n with E|h|^2 = 1 and n ~ CN(0, N0), N0 per complex symbol (N0/2 per real dimension), added after fading;
SNR = 1/N0 is the average Es/N0, because E|x|^2 = 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from common.phy.layout import Layout, pilot_sequence
from scrx.demodulation.equalise import effective_snr, mmse_tap, non_coherent
from scrx.demodulation.estimate import fit
from scrx.demodulation.tracker import NOISE_FLOOR
from training.recipes.specs import Conditions

FRAMES = 2
"""Transmissions that one image's increments may be spread over in training, each with its own h."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One batch of channels. `told_db` is what the transmitter knows, NaN = nothing."""

    gain: Tensor
    """complex64 [B, FRAMES]"""
    noise: Tensor
    """complex64 [B, FRAMES * P + S], unit power"""
    n0: Tensor
    """float [B]"""
    others: Tensor
    """float [B, 2]: energy of unit-power noise that earlier frames gave to the N0 pool, and its degrees of freedom"""
    last: Tensor
    """int64 [B]: the last increment of the first frame"""
    told_db: Tensor
    """float [B]"""

    def to(self, device: torch.device) -> "Draw":
        moved = (self.gain, self.noise, self.n0, self.others, self.last, self.told_db)
        return Draw(*(tensor.to(device) for tensor in moved))

    def part(self, rows: slice) -> "Draw":
        """The draw of some of the images."""
        return Draw(
            self.gain[rows], self.noise[rows], self.n0[rows], self.others[rows], self.last[rows], self.told_db[rows]
        )


def draw(batch: int, layout: Layout, conditions: Conditions, random: torch.Generator) -> Draw:
    """Channels for `batch` images: SNR uniform in dB, AWGN or block Rayleigh; a report aged, noisy or missing."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=random)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.complex64, generator=random)

    low, high = conditions.snr_low_db, conditions.snr_high_db
    snr_db = low + (high - low) * uniform(batch)
    fading = uniform(batch) < conditions.rayleigh
    gain = torch.where(fading[:, None], normal(batch, FRAMES), torch.ones(1, dtype=torch.complex64))
    if not layout.pilots:  # non-coherent: any phase, and nobody who could report
        gain = gain * torch.polar(torch.ones(batch, FRAMES), 2 * math.pi * uniform(batch, FRAMES))
    # What the transmitter was told: a gain of some time ago (correlation rho), or the average, or nothing.
    rho = uniform(batch).sqrt()
    aged = rho * gain[:, 0] + (1 - rho**2).sqrt() * normal(batch)
    instant = fading & (uniform(batch) < 0.5)
    told = snr_db + torch.where(instant, 20 * aged.abs().clamp(min=1e-3).log10(), torch.zeros(()))
    told = told + conditions.report_error_db * torch.randn(batch, generator=random)
    told = (told / conditions.report_step_db).round() * conditions.report_step_db
    told = torch.where(uniform(batch) < conditions.missing, torch.nan, told)
    if not layout.pilots:
        told = torch.full_like(told, torch.nan)
    dof = (torch.randint(conditions.pool, (batch,), generator=random) * max(layout.pilots - 1, 0)).float()
    # A sum of n exponentials is Gamma(n), by Wilson and Hilferty (1931) close to n (1 - 1/9n + z/(3 sqrt n))^3.
    z, n = torch.randn(batch, generator=random), dof.clamp(min=1)
    energy = torch.where(dof > 0, n * (1 - 1 / (9 * n) + z / (3 * n.sqrt())).clamp(min=0) ** 3, torch.zeros(()))
    last = torch.randint(len(layout.increments), (batch,), generator=random)
    noise = normal(batch, FRAMES * layout.pilots + layout.max_symbols)
    return Draw(gain, noise, 10 ** (-snr_db / 10), torch.stack((energy, dof), -1), last, told)


def transmit(sent: Tensor, gain: Tensor, noise: Tensor) -> Tensor:
    """y = h x + n. sent, noise: complex [..., S]; gain: complex [...] or [..., S]."""
    return (gain if gain.ndim == sent.ndim else gain[..., None]) * sent + noise


def receive(symbols: Tensor, drawn: Draw, layout: Layout) -> tuple[Tensor, Tensor]:
    """The receiver's own formulas. symbols: complex64 [B, S] -> x^ complex64 [B, S], gamma float [B, S].

    Increments 0..last travel in one frame, the others in a second one; each frame has its own h and its own pilots,
    and N0 is pooled over all frames so far, as `scrx.demodulation` does it frame by frame.
    """
    count = layout.pilots
    increment = torch.repeat_interleave(torch.tensor(layout.increments)).to(symbols.device)
    frame = (increment > drawn.last[:, None]).long()
    noise = drawn.noise * drawn.n0.sqrt()[:, None]
    received = transmit(symbols, drawn.gain.gather(1, frame), noise[:, FRAMES * count :])
    if not count:
        return non_coherent(received)
    pilots = torch.tensor(pilot_sequence(count), device=symbols.device)
    sent = pilots.expand(len(symbols), FRAMES, count)
    heard = transmit(sent, drawn.gain, noise[:, : FRAMES * count].reshape(-1, FRAMES, count)).to(torch.complex128)
    gain, unexplained = fit((heard * pilots.conj()).sum(-1), heard.abs().square().sum(-1), count)
    energy, dof = drawn.others.unbind(-1)
    seen = (count - 1) * torch.arange(1, FRAMES + 1, device=symbols.device)
    n0 = (unexplained.clamp(min=0).cumsum(-1) + (energy * drawn.n0)[:, None]) / (dof[:, None] + seen)
    power, n0 = gain.abs().square(), n0.clamp(min=NOISE_FLOOR)
    tap, gamma = mmse_tap(gain.conj(), power, n0), effective_snr(power, n0, count)
    return received * tap.to(received.dtype).gather(1, frame), gamma.float().gather(1, frame)
