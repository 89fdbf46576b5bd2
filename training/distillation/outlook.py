"""How long a distillation is going to take: each stage's own steps, a few of them, timed here and now.

Knows nothing about what is there already but for the teacher; a stage that is taken up again takes less than announced.
Where two threads are slower than one, as on a machine that is busy with other things, one is taken from here on.
"""

import time
from pathlib import Path

import torch
from rich.console import Console

from common.console import tell
from common.images.imageset import ImageSet
from training.loop.fit import Run, pace
from training.loop.machine import placed, process
from training.recipes.recipe import Recipe
from training.report.progress import span
from training.student.objective import Distillation, Objective
from training.teachers.pretrain import prepared

ROWS = 128
"""Images that a teacher answers to be timed."""


def announce(
    recipe: Recipe, objective: Objective, train: ImageSet, run: Run, console: Console, own_teacher: bool
) -> float:
    """Tell how long it will take, and return it in seconds. own_teacher: one has to be trained, and then to answer."""
    if process()[1] > 1:
        return 0.0  # steps that wait for each other are not timed by one of them alone
    task = Distillation(objective, train, None, run.device)
    student_s, stages = _pace_on_threads(task, run, recipe.threads) * recipe.schedule.epochs, dict[str, float]()
    if own_teacher:
        torch_state = torch.random.get_rng_state()
        stages |= _teacher(recipe, train, run.seed, run.device, console)
        torch.random.set_rng_state(torch_state)
    stages["student"] = student_s
    total = sum(stages.values())
    parts = ", ".join(f"{name} {span(seconds)}" for name, seconds in stages.items())
    tell(f"this will take about {span(total)} ({parts}), going by a few steps of each just now")
    return total


def _pace_on_threads(task: Distillation, run: Run, fixed: int) -> float:
    """Seconds of an epoch; on a processor, where the recipe does not fix them, on as many threads as are faster now."""
    every, epoch_s = torch.get_num_threads(), pace(task, run)
    if fixed or every == 1 or run.device.type != "cpu":
        return epoch_s
    torch.set_num_threads(1)
    alone_s = pace(task, run)
    if alone_s > epoch_s:
        torch.set_num_threads(every)
        return epoch_s
    tell(f"threads: 1, with {alone_s:.1f} s for a pass of the student; {every} would take {epoch_s:.1f} s just now")
    return alone_s


def _teacher(recipe: Recipe, train: ImageSet, seed: int, device: torch.device, console: Console) -> dict[str, float]:
    """Training it, and its answers on every view."""
    task, run, model, inputs = prepared(recipe, train, Path("nowhere"), seed, device, console)
    seconds = {"teacher": pace(task, run) * recipe.teacher.schedule.epochs}
    images = torch.from_numpy(train.images[:ROWS]).to(device)
    placed(model, device).eval()
    with torch.inference_mode():
        model(pixel_values=inputs(images))
        began = time.monotonic()
        model(pixel_values=inputs(images))
    seconds["answers"] = (time.monotonic() - began) / len(images) * len(train) * recipe.views
    return seconds
