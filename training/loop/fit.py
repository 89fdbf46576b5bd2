"""The training loop of teacher and student: views in, averaged weights out; resumable, on one process or several.

Knows nothing about what the loss is or where its targets come from.

Everything random is a function of (seed, epoch), drawn for the whole batch before it is split over processes. So a run
that is killed and started again ends in the same weights, and `torchrun` trains on the same examples as one process.
"""

import copy
import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from common.console import tell
from common.images.imageset import ImageSet
from common.pair.blocks import pick_pixels
from common.pair.manifest import canonical
from training.data.views import augment, words
from training.loop.checkpoint import load_checkpoint, save_checkpoint
from training.loop.journal import Journal
from training.loop.machine import autocasts, keep_memory, peak_memory, placed, process
from training.loop.optimiser import make_optimisers
from training.recipes.specs import Schedule, ViewSpec
from training.report.progress import bar

CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_S = 20.0
"""Least time between two checkpoints."""
WARM, LEAST_STEPS, TRIAL_S = 2, 3, 3.0
"""Steps whose time does not count, steps that do at least, and seconds that are spent on them."""
CLIP = 5.0
"""Largest norm of the gradient."""


class Task(Protocol):
    """What is trained: `objective(*arguments)` is the loss."""

    objective: nn.Module

    def start_view(self, view: int) -> None:
        """The following batches are of this view."""
        ...

    def arguments(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int64], rows: slice, random: torch.Generator
    ) -> tuple[Any, ...]:
        """Arguments of the objective. index: the whole batch; pixels: uint8 [b, H, W, C] of `rows`, our part of it."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: epoch e trains on view (e mod views) of each image; views = 0 takes a fresh view each epoch."""

    title: str
    folder: Path
    identity: dict[str, Any]
    """Beside schedule and seed, what must be equal for a checkpoint to be taken up."""
    images: ImageSet
    view: ViewSpec
    views: int
    schedule: Schedule
    seed: int
    device: torch.device
    console: Console
    stepped: Callable[[float], None] = lambda _: None
    """Told after each step which share of an epoch it was."""

    @property
    def id(self) -> str:
        document = {**self.identity, "schedule": asdict(self.schedule), "seed": self.seed}
        return hashlib.sha256(canonical(document)).hexdigest()

    @property
    def checkpoint(self) -> Path:
        """Where `fit` keeps its state."""
        return self.folder / CHECKPOINT

    def forget(self) -> None:
        """Drop the checkpoint: what was trained is saved."""
        self.checkpoint.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Averaged weights by name, and what the run cost."""

    weights: dict[str, Tensor]
    epoch_s: float
    """Mean wall time of the epochs that this process ran; NaN if it ran none."""


def fit(task: Task, run: Run) -> Fitted:
    """Train `task.objective`; a run that was killed goes on from its checkpoint, which stays until `run.forget()`."""
    schedule = run.schedule
    training = _Training.begin(task, run, schedule.weight_decay)
    objective, average, optimisers = training.objective, training.average, training.optimisers
    done = load_checkpoint(run.checkpoint, run.id, objective, average, optimisers)
    if done:
        tell(f"{run.title}: going on after epoch {done} of {schedule.epochs}")
    rank, world = process()
    if world > 1:
        training.model = DistributedDataParallel(objective)
    times: list[float] = []
    saved = time.monotonic()
    log = Journal(run.folder, done) if rank == 0 else nullcontext()
    with log as metrics, bar(run.console, run.title, schedule.epochs, done) as advance:
        run = replace(run, stepped=advance)
        for epoch in range(done, schedule.epochs):
            began = time.monotonic()
            losses = training.epoch(run, epoch)
            times.append(time.monotonic() - began)
            if metrics is not None:
                rate = optimisers[0].param_groups[0]["lr"]
                memory = peak_memory(run.device) / 2**20
                metrics.write(epoch, loss=float(np.mean(losses)), lr=rate, seconds=times[-1], peak_mib=memory)
                if time.monotonic() - saved > CHECKPOINT_S or epoch + 1 == schedule.epochs:
                    save_checkpoint(run.checkpoint, run.id, epoch + 1, objective, average, optimisers)
                    saved = time.monotonic()
    return Fitted(
        {name: tensor.cpu() for name, tensor in average.items()}, float(np.mean(times)) if times else math.nan
    )


def pace(task: Task, run: Run) -> float:
    """Seconds that an epoch will take, from a few real steps on a copy; nothing that is random afterwards changes."""
    trial = copy.copy(task)
    trial.objective = copy.deepcopy(task.objective)
    training = _Training.begin(trial, run, weight_decay=0.0)
    batches = max(len(run.images) // min(run.schedule.batch, len(run.images)), 1)
    with torch.random.fork_rng():
        steps = chain.from_iterable(training.steps(run, epoch) for epoch in count())
        for _ in range(WARM):
            next(steps)
        began, taken = time.monotonic(), 0
        while taken < LEAST_STEPS or (time.monotonic() - began < TRIAL_S and taken < batches):
            next(steps)
            taken += 1
        return (time.monotonic() - began) / taken * batches


@dataclass(slots=True)
class _Training:
    """A task and what changes while it is trained. model: the objective, or what several processes see of it."""

    task: Task
    objective: nn.Module
    model: nn.Module
    optimisers: list[torch.optim.Optimizer]
    average: dict[str, Tensor]

    @classmethod
    def begin(cls, task: Task, run: Run, weight_decay: float) -> Self:
        """Before its first step, on the run's device."""
        keep_memory()
        pick_pixels(task.objective)
        objective = placed(task.objective, run.device)
        optimisers = make_optimisers(run.schedule.optimiser, objective.parameters(), run.schedule.lr, weight_decay)
        average = {name: tensor.detach().clone() for name, tensor in objective.state_dict().items()}
        return cls(task, objective, objective, optimisers, average)

    def epoch(self, run: Run, epoch: int) -> list[float]:
        """One pass over one view; the last, incomplete batch is left out. Returns the loss of each step."""
        return list(self.steps(run, epoch))

    def steps(self, run: Run, epoch: int) -> Iterator[float]:
        """The same, step by step."""
        rank, world = process()
        images, schedule = run.images.images, run.schedule
        random = torch.Generator().manual_seed((run.seed << 20) + epoch)
        view = epoch % run.views if run.views else epoch
        parameters = words(run.view, view, 0, len(images))
        order = torch.randperm(len(images), generator=random).numpy()
        batch = min(schedule.batch, len(images))
        ours = slice(rank * (batch // world), (rank + 1) * (batch // world))
        steps = len(images) // batch
        self.model.train()
        self.task.start_view(view)
        for step in range(epoch * steps, (epoch + 1) * steps):
            index = order[step % steps * batch : (step % steps + 1) * batch]
            pixels = augment(images[index[ours]], parameters[index[ours]], run.view)
            yield self._step(self.task.arguments(pixels, index, ours, random), run, step, steps)

    def _step(self, arguments: tuple[Any, ...], run: Run, step: int, steps: int) -> float:
        """step: since the run began; steps: of an epoch."""
        schedule = run.schedule
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = schedule.lr * one_cycle(step / (schedule.epochs * steps))
        half = autocasts(schedule, run.device)
        with torch.autocast(run.device.type, torch.bfloat16) if half else nullcontext():
            loss = self.model(*arguments)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for optimiser in self.optimisers:
            optimiser.step()
        _move(self.average, self.task.objective.state_dict(), min(schedule.ema, step / (step + 10)))
        run.stepped(1 / steps)
        return float(loss.detach())


def one_cycle(progress: float) -> float:
    """Learning rate, as a fraction of its peak: linear up over the first tenth, then a cosine down to 0."""
    return progress / 0.1 if progress < 0.1 else 0.5 * (1 + math.cos(math.pi * (progress - 0.1) / 0.9))


@torch.no_grad()
def _move(average: dict[str, Tensor], now: dict[str, Tensor], decay: float) -> None:
    real = [name for name, tensor in now.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([average[name] for name in real], [now[name] for name in real], 1 - decay)
    for name in now.keys() - set(real):
        average[name].copy_(now[name])
