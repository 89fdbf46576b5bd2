"""What the documents tell people to type parses, what they link to is there, and what they count they count truly.

Knows nothing about what the commands do. `training/LOG.md` and `CHANGELOG.md` tell of the past: their links are read,
their commands are not.
"""

import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from common.channel.cli import command as channel_emu
from common.pair.manifest import find_pair
from scrx import ReceivedAnswer
from scrx.cli import _as_line as receiver_line
from scrx.cli import command as scrx
from sctx import Answer
from sctx.cli import _as_line as transmitter_line
from sctx.cli import command as sctx
from sctx.outcomes import Summary

ROOT = Path(__file__).parents[1]
PAST = {"training/LOG.md", "CHANGELOG.md"}
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.md")
    if not {".venv", "build", "dist", "node_modules"} & set(path.relative_to(ROOT).parts)
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
OURS = {"sctx": sctx, "scrx": scrx, "channel-emu": channel_emu}
PLACEHOLDER = re.compile(r"^(\.\.\.|…)?$|^[A-Z][A-Z_./:0-9-]*$")
"""A word that stands for another one: HOST:PORT, DIR_OF_PHOTOS, nothing."""
CITATION = {"cff-version", "message", "type", "title", "abstract", "authors", "license", "keywords", "references"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


# -- links


def slugs(document: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", text_of(document), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", one).lower()).strip().replace(" ", "-") for one in headings}


def links(document: str) -> list[str]:
    """Targets of a document's links and images within the project."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text_of(document), flags=re.S))
    return [one for one in found if not re.match(r"[a-z]+:", one)]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    for link in links(document):
        path, _, anchor = link.partition("#")
        there = (ROOT / document).parent.joinpath(path).resolve() if path else ROOT / document
        assert there.exists(), f"{document}: {link}"
        if anchor:
            assert anchor in slugs(str(there.relative_to(ROOT))), f"{document}: {link}"


def test_every_document_and_figure_is_linked_from_another() -> None:
    pairs = ((ROOT / one, link.partition("#")[0]) for one in DOCUMENTS for link in links(one))
    reached = {document.parent.joinpath(path).resolve() for document, path in pairs}
    pictures = {path for path in ROOT.glob("*/*.png") if path.parent.name != "build"}
    assert {ROOT / one for one in DOCUMENTS if one != "README.md"} | pictures <= reached


# -- commands


def code(document: str) -> Iterator[str]:
    """Lines of code blocks, a backslash at their end joined, and what stands between backticks; no diagrams."""
    lines = re.sub(r"(?m)^.*-->.*\n", "", text_of(document))
    for block in re.findall(r"(?:^|\n)((?: {4}.*\n)+)", lines):
        yield from re.sub(r" *\\\n *", " ", block).splitlines()
    prose = re.sub(r"(?m)^ {4}.*\n", "", lines)
    yield from (one.replace("\n", " ").replace("\\|", "|") for one in re.findall(r"`([^`]+)`", prose))


def commands(document: str) -> Iterator[list[str]]:
    """Everything in a document that somebody could type at a shell, as words: pipes and `&` part commands."""
    for line in code(document):
        line = re.sub(r"^\s*(\w+[$>] |\$ )?", "", line)
        for part in re.split(r"\s(?:\||&&|;|&)\s+|\s&$", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # an apostrophe of prose
                continue
            while words and ("=" in words[0] or words[0] in ("nice", "env", "export", "OMP_NUM_THREADS")):
                words = words[1:]
            if ">" in words:
                words = words[: words.index(">")]
            if words:
                yield words


@cache
def command_of(module: str) -> click.Command:
    """The command of `python -m MODULE`, which every module that can be typed has under some name."""
    typed = importlib.import_module(module)
    if hasattr(typed, "__path__"):  # a package is typed too, where it has a main module
        typed = importlib.import_module(f"{module}.__main__")
    found = [one for one in vars(typed).values() if isinstance(one, click.Command)]
    groups = [one for one in found if isinstance(one, click.Group)]
    named = [one for one in found if one.name in ("main", "command")]
    (only,) = groups or named or found
    return only


def check(command: click.Command, words: list[str], where: str) -> None:
    """Raise AssertionError where the command does not know a flag, or lacks its value, or one of its choices."""
    context = click.Context(command)
    if isinstance(command, click.Group):
        at = next((k for k, word in enumerate(words) if word in command.commands), len(words))
        if words[at:]:
            check(command.commands[words[at]], words[at + 1 :], where)
        words = words[:at]
    words = [word for word in words if word != "..."]
    flags = {flag: one for one in command.get_params(context) for flag in (*one.opts, *one.secondary_opts)}
    for place, word in enumerate(words):
        flag, _, value = word.partition("=")
        if not flag.startswith("--"):
            continue
        assert flag in flags, f"{where}: {flag}"
        option = flags[flag]
        if getattr(option, "is_flag", False) or option.name == "help":
            continue
        value = value or " ".join(words[place + 1 : place + 2])
        if PLACEHOLDER.match(value) or not isinstance(option.type, click.Choice | click.IntRange | click.FloatRange):
            continue
        try:
            option.type.convert(value, option, context)
        except click.BadParameter as error:
            raise AssertionError(f"{where}: {flag} {value}: {error}") from None


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in PAST])
def test_every_command_is_one_that_exists(document: str) -> None:
    for words in commands(document):
        where, first = f"{document}: {' '.join(words)}", words[0].removeprefix(".venv/bin/")
        if first in OURS:
            check(OURS[first], words[1:], where)
        elif first == "make":
            assert {word for word in words[1:] if word.islower() and word.isalpha()} <= TARGETS, where
        elif first == "python" and words[1:2] == ["-m"] and words[2:]:
            check_module(words[2], words[3:], where)
        elif first in ("python", "pytest") or words[0].startswith("tests/"):
            check_paths(words[1:], where)


def check_module(module: str, words: list[str], where: str) -> None:
    room = module.partition(".")[0]
    if module == "pytest":
        check_paths(words, where)
    elif room in ("training", "common", "sctx", "scrx"):
        if module.rpartition(".")[2] not in ("X",):
            check(command_of(module), words, where)
    elif room == "tests":
        assert ROOT.joinpath(*module.split(".")).with_suffix(".py").is_file(), where


def check_paths(words: list[str], where: str) -> None:
    """Files and folders of the tests that are named are there, and plug-ins of pytest."""
    for word in words:
        if word.startswith("tests."):
            assert ROOT.joinpath(*word.split(".")).with_suffix(".py").is_file(), f"{where}: {word}"
        elif word.startswith("tests"):
            assert (ROOT / word.partition("::")[0]).exists(), f"{where}: {word}"


def every_flag() -> set[str]:
    """The flags of all commands that people can type, and of the other tools that the documents use."""
    theirs = {"--build", "--exit-code-from", "--volumes", "--target", "--build-arg", "--nproc-per-node", "--durations"}
    theirs |= {"--system", "--home-dir", "--create-home", "--now", "--offline"}
    theirs |= {
        "--replicas",
        "--rounds",
        "--wait",
        "--cluster",
        "--address",
        "--port",
        "--generate",
    }  # of deploy/ray, which needs Ray, and of Ray
    theirs |= {"--transmitters", "--frames"}  # of the tests' fleet
    modules = [f"training.{path.stem}" for path in (ROOT / "training").glob("*.py") if path.stem != "__init__"]
    modules += ["training.push", "training.enrolment", "training.enrolment.apart", "training.enrolment.whiten"]
    modules += ["training.experiments.misled", "training.experiments.missed", "common.transport.keys"]
    modules += ["tests.bench.in_turn"]
    found = [*OURS.values(), *map(command_of, modules)]
    for one in found:
        found += one.commands.values() if isinstance(one, click.Group) else []
    return theirs | {flag for one in found for param in one.get_params(click.Context(one)) for flag in param.opts}


def test_every_flag_that_is_named_is_one_of_somebody() -> None:
    known = every_flag()
    for document in DOCUMENTS:
        if document not in PAST:
            named = {flag for line in code(document) for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", line)}
            assert named <= known, document


@pytest.mark.parametrize("wrong", ["--no-such-flag", "--window 0", "--arq sometimes", "--log-level=loud"])
def test_a_command_that_would_not_parse_is_found(wrong: str) -> None:
    check(sctx, ["--peer", "HOST:PORT", "--window", "COUNT", "--arq", "none"], "this parses")
    with pytest.raises(AssertionError):
        check(sctx, wrong.split(), "this does not")


def test_there_are_commands_to_look_at() -> None:
    found = {one: sum(words[0] in (*OURS, "make", "python") for words in commands(one)) for one in DOCUMENTS}
    assert found["README.md"] > 8
    assert found["training/README.md"] > 15
    assert found["sctx/README.md"] > 10


SOMEBODYS = re.compile(r"build/|/|(train|test)(ing)?-|tests?/CLASS|(config|manifest|classes).json|~")
"""How a file's name begins that is made by a command, or is somebody else's."""


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if one not in PAST])
def test_every_file_that_is_named_exists(document: str) -> None:
    """By its path from the root or from the document; a bare name is of a file somewhere below the document."""
    below = {path.name for path in (ROOT / document).parent.rglob("*.*")}
    named = set(re.findall(r"(?<![\w./-])[\w./-]+\.(?:py|toml|json|yaml|csv)\b(?!\.)", "\n".join(code(document))))
    ours = {name for name in named if not PLACEHOLDER.match(name.partition(".")[0]) and not SOMEBODYS.match(name)}
    places = {name: (ROOT / name, (ROOT / document).parent / name) for name in ours - below}
    assert not {name for name, both in places.items() if not any(place.exists() for place in both)}


def test_make_help_tells_every_target_and_the_documents_name_those_of_every_day() -> None:
    makefile = text_of("Makefile")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)
    assert phony
    told = set(re.findall(r"^([a-z-]+):[^#\n]*## .", makefile, re.M))
    assert told == set(phony[1].split())
    named = " ".join(re.findall(r"make ((?:[a-z-]+ ?)+)", text_of("CONTRIBUTING.md"))).split()
    assert told - {"clean", "check", "evaluate"} <= set(named)


def fields(document: str, heading: str) -> set[str]:
    """Names between backticks in the first column of the tables below a heading, up to the next heading."""
    part = re.split(rf"^## {heading}$", text_of(document), flags=re.M)[1].split("\n## ")[0]
    return {name for cell in re.findall(r"^\| (`[^|]+) \|", part, re.M) for name in re.findall(r"`(\w+)`", cell)}


def test_the_fields_of_the_json_are_those_that_the_documents_name() -> None:
    sent = Answer(0, 0, "", 1.0, {}, 2, 10, 3.0, 1.0, 0, {}, "", 0)
    summary = Summary(0).as_dict().keys() - {"answered", "lost", "expired", "skipped"}  # named in the row of `sent`
    assert fields("sctx/README.md", "Reading the JSON") == transmitter_line(sent, 0, None).keys() | summary
    received = ReceivedAnswer("", 0, 0, 0, "", 1.0, {}, True, 3.0, 0, 0)
    assert fields("scrx/README.md", "Reading the JSON") == receiver_line(received).keys()


def test_the_citation_is_one() -> None:
    """What version 1.2.0 of the format demands, and no version of ours that could go stale."""
    cited = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys() <= CITATION
    assert all(one.keys() <= {"name"} or one.keys() <= {"family-names", "given-names"} for one in cited["authors"])
    (method,) = cited["references"]
    assert {"type", "title", "authors"} <= method.keys()
    assert "2506.13243" in method["url"]


# -- what is counted


def test_the_readme_is_short_and_promises_no_number_of_tests() -> None:
    readme = text_of("README.md")
    assert len(readme.splitlines()) <= 130
    assert not re.search(r"\d+ (passed|skipped|deselected)", readme)


def test_what_the_readme_says_of_the_shipped_pairs_is_so() -> None:
    layouts = [find_pair(name).layout for name in ("digits", "cifar10")]
    rates = [rate for layout in layouts for rate in layout.rates]
    readme = text_of("README.md")
    assert f"{min(rates)} to {max(rates)} complex symbols" in readme
    said = re.findall(r"(\d+) pilots|--pilots (\d+)", readme)
    assert {one or other for one, other in said} == {str(layouts[0].pilots)}
