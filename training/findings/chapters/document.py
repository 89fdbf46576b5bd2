"""The report as a whole: what is read first, the claims, what is not won, and where each number comes from.

Knows nothing about how a section is made.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from training.cards.card import Card
from training.findings.chapters import (
    accuracy,
    axes,
    feedback_worth,
    latency,
    later,
    second_look,
    size,
    training_data,
    unwon,
    yardstick,
)
from training.findings.claim import VERDICTS, Row, markdown
from training.findings.orders import ORDERS
from training.findings.retrained import CIFAR10, DIGITS
from training.findings.sources import TRAINING, Sources, of_card, of_result, of_suite, training_seed
from training.report.figures import Panel, draw

REPORT = "REPORT.md"
JOINED = re.compile(r"(?m)^((?![#|!]|    ).+)\n(?:  )?(?=[\w`*])(?! {2})")
"""Lines of a paragraph or of an item of a list that are one on the page."""
COMMAND = "python -m training.claims"
HEAD = f"""# The four claims, won or lost

What is semlink better at than what else could be sent, and where is it not? This page is written by `{COMMAND}`
from result files in this project, and a test compares the two; no measured number in it is typed. Each row names its
files, and the [last table](#where-each-number-comes-from) their commands, hardware and seeds. *Not measured* means that
no result of today's pairs exists; *not resolved*, that nothing differs by more than chance allows.
"""
CHECKS = f"""## How to check it

    {COMMAND} --check                         # the page says what its files say
    python -m training.verify --dataset tinyimagenet100       # result cards, computed again
    {COMMAND} --measure sizes                 # a result, measured again and kept
    {COMMAND} --measure loop-digits --seed 1  # with other channels: what differs, by both intervals
    python -m training.evaluate --suite quick --seed 1 --against training/suites/results/quick.json

The last two compare with Holm at 5 % over all numbers that both runs have. A pair and pictures of your own go through
the same places, beside rivals that are fitted to them, by
`python -m training.baseline --suite cifar10 --pair FOLDER --dataset FOLDER --system vfe,dt-jscc-ours,teacher` and
`python -m training.evaluate --suite cifar10 --pair FOLDER --dataset FOLDER`.
"""


def claims(sources: Sources) -> dict[str, list[Row]]:
    """The four, and their rows."""
    return {
        "Task accuracy": accuracy.rows(sources), "Model size": size.rows(sources),
        "Computation latency": latency.rows(sources),
        "Training data": training_data.rows(sources), "Training time": training_data.time_rows(sources),
        "Tasks chosen later": later.rows(sources),
    }  # fmt: skip


def text(sources: Sources) -> str:
    """The page."""
    rows = claims(sources)
    lines = [
        HEAD, _seeds(sources), *_glance(rows), *accuracy.section(sources), *size.section(sources),
        *latency.section(sources), *training_data.section(sources), *axes.section(sources), *later.section(sources),
        *feedback_worth.section(sources), *yardstick.section(sources), *unwon.section(sources, rows),
        *second_look.section(sources), *_origins(sources), CHECKS,
    ]  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", JOINED.sub(r"\1 ", "\n".join(lines)))


def _seeds(sources: Sources) -> str:
    """How often pairs and rivals were trained."""
    found = {suite: len(some) for (suite, _), some in accuracy.by_seed(sources).items()}
    again = len(accuracy.runs_of(sources, CIFAR10))
    cifar10 = f"{again} of today's recipe, and one as it ships" if again else "one"
    rivals = len(accuracy.runs_of(sources, DIGITS))
    more = f" (`digits`: {1 + rivals})" if rivals else ""
    three = f"`digits` has {found.get('quick', 1)}, `tinyimagenet100` {found.get('tinyimagenet100', 1)}"
    rest = f"beside rivals with weights each pair has one{more}"
    return f"Training seeds beside the label code: {three}, `cifar10` {cifar10}; {rest}.\n"


def _glance(rows: Mapping[str, Sequence[Row]]) -> list[str]:
    """How many rows of each claim are won and lost."""
    counts = [
        (claim, *(str(sum(row.rivals for row in some if row.verdict == one)) for one in VERDICTS))
        for claim, some in rows.items()
    ]
    return markdown(("rows of", *VERDICTS), counts)


def figures(sources: Sources) -> dict[str, list[Panel | None]]:
    """File name -> the panels of its figure."""
    return {axes.FIGURE: axes.frontier(sources), later.FIGURE: later.panels(sources)}


def note(panels: Sequence[Panel | None]) -> str:
    """What a figure was drawn from, as its file remembers it: 64 bits of a SHA-256."""
    return f"drawn from {hashlib.sha256(repr(panels).encode()).hexdigest()[:16]}"


def write(sources: Sources, folder: Path = TRAINING) -> list[Path]:
    """The page and its figures in `folder`; the paths."""
    page = folder / REPORT
    page.write_text(text(sources), encoding="utf-8")
    paths = [page]
    for name, panels in figures(sources).items():
        if any(panels):
            draw(folder / name, [panels], note(panels))
            paths.append(folder / name)
    return paths


def stale(sources: Sources, folder: Path = TRAINING) -> list[str]:
    """Which of the files in `folder` are not what `write` would make."""
    page = folder / REPORT
    found = [] if page.is_file() and page.read_text(encoding="utf-8") == text(sources) else [REPORT]
    for name, panels in figures(sources).items():
        there = folder / name
        if any(panels) and not (there.is_file() and note(panels).encode() in there.read_bytes()):
            found.append(name)
    return found


def _origins(sources: Sources) -> list[str]:
    """Where each number comes from."""
    headings = ("file", "command", "measured on", "training seeds", "channel seed", "commit")
    return [
        "## Where each number comes from", "",
        "A suite of an older kind does not note its machine and commit; cards of the same command do.", "",
        *markdown(headings, [*_suites(sources), *_results(sources), *_cards(sources)]),
    ]  # fmt: skip


def _suites(sources: Sources) -> Iterator[tuple[str, ...]]:
    for suite in sources.suites.values():
        document = suite.document
        seed = document["systems"]["ours"].get("trained", {}).get("seed", "?")
        machine, commit = "not noted in the file", "not noted"
        if "machine" in document:
            machine, commit = _machine(document["machine"]), _commit(document["commit"])
        elif same := [card for card in sources.cards.values() if card.command.startswith(document["command"])
                      and card.pair_id == document["pair"]["id"]]:  # fmt: skip
            machine, commit = f"{_machine(same[0].machine)} (its cards)", _commit(same[0].commit)
        yield of_suite(suite.name), f"`{document['command']}`", machine, seed, str(document["seed"]), commit


def _results(sources: Sources) -> Iterator[tuple[str, ...]]:
    for name, result in sources.results.items():
        seeds = ", ".join(map(str, result.training_seeds)) or "none trained"
        made = f"`{result.command}`" + (f"; its pair by `{ORDERS[name].trains}`" if ORDERS[name].trains else "")
        yield of_result(name), made, _machine(result.machine), seeds, "0", _commit(result.commit)


def _cards(sources: Sources) -> Iterator[tuple[str, ...]]:
    """One for each run of which there are cards; runs that differ by their channel seed alone are one."""
    runs: dict[tuple[str, str], list[str]] = {}
    for file, card in sources.cards.items():
        runs.setdefault((seedless(card), card.pair_id), []).append(file)
    for (command, _), files in runs.items():
        card = sources.cards[files[0]]
        made = f"`{command}`" + (f"; its pair by `{card.retrain}`" if card.retrain else "")
        drawn = ", ".join(map(str, sorted({sources.cards[one].seed for one in files})))
        yield (f"{len(files)} cards of pair {card.pair} {card.pair_id[:12]}, such as {of_card(files[0])}", made,
               _machine(card.machine), str(training_seed(card)), drawn, _commit(card.commit))  # fmt: skip


def seedless(card: Card) -> str:
    """The command of a card, without the number of its channel seed."""
    return card.command.replace(f"--seed {card.seed}", "--seed SEED") if card.seed else card.command


def _commit(said: str) -> str:
    """Cut, with the "+" of files that were changed."""
    return f"{said[:12]}{'+' if said.endswith('+') else ''}"


def _machine(machine: Mapping[str, str]) -> str:
    """In a few words."""
    return f"{machine.get('cpu', '?')}, {machine.get('instructions', '?')}, torch {machine.get('torch', '?')}"
