"""What every command line shares, on a small command: precedence, one-line errors, exit codes."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import pytest

from common import cli
from common.errors import ConfigError, DataError, LinkDown, PeerRejected, SemlinkError
from common.files import OutFile, OutFolder, UserPath
from common.flags import in_flags


@click.command()
@click.option("--snr", type=float, default=10.0)
@click.option("--name", default="none")
@click.option("--fast", is_flag=True)
@click.option("--tag", multiple=True)
@click.option("--json", "as_json", is_flag=True)
@click.option("--fail", default="")
@cli.shared_options
@click.pass_context
def tool(
    context: click.Context,
    snr: float,
    name: str,
    fast: bool,
    tag: tuple[str, ...],
    as_json: bool,
    fail: str,
    debug: bool,
    log_level: str,
) -> None:
    """Do nothing."""
    cli.begin(context, log_level)
    errors = {error.__name__: error for error in (ConfigError, DataError, LinkDown, PeerRejected, SemlinkError)}
    if fail == "ImportTorch":
        import torch  # noqa: F401
    if fail == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if fail == "ImportError":
        raise ImportError("initialization failed")
    if fail == "Nowhere":
        os.path.abspath("x")
    if fail == "OSError":
        Path("x" * 300).stat()
    if fail in errors:
        raise errors[fail]("this was\nwrong")
    if fail.startswith("name"):
        with in_flags(context):
            raise LinkDown(fail)
    if fail.startswith("say"):
        raise DataError(fail)
    click.echo(f"{snr} {name} {fast} {','.join(tag)}{' json' if as_json else ''}")


@dataclass
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the tool in this process, whose own log is left alone."""
    monkeypatch.setattr(cli.log, "set_up", lambda level, form: None)

    def run(*arguments: str, **environment: str) -> Ran:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            cli.invoke(tool, "SMALL_TOOL", list(arguments))
        captured = capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def toml(tmp_path: Path) -> Callable[[str], str]:
    """Writes a configuration file and gives its path."""

    def write(text: str) -> str:
        path = tmp_path / "tool.toml"
        path.write_text(text)
        return str(path)

    return write


def test_flags_win_over_environment_over_file_over_defaults(run: Run, toml: Callable[[str], str]) -> None:
    assert run().out == "10.0 none False \n"
    file = toml('snr = 1\nname = "file"\nfast = true\ntag = ["a", "b"]\n')
    assert run("--config", file).out == "1.0 file True a,b\n"
    assert run("--config", file, SMALL_TOOL_SNR="2").out == "2.0 file True a,b\n"
    assert run("--config", file, "--snr", "3", SMALL_TOOL_SNR="2").out == "3.0 file True a,b\n"


def test_file_and_environment_use_the_name_of_the_flag_not_that_of_the_code(
    run: Run, toml: Callable[[str], str]
) -> None:
    assert run("--config", toml("json = true\n")).out == "10.0 none False  json\n"
    assert run("--print-config", SMALL_TOOL_JSON="1").out.count("json = True  # environment\n") == 1
    assert run("--config", toml("as_json = true\n")).code == 2


def test_print_config_tells_each_setting_and_where_it_comes_from(run: Run, toml: Callable[[str], str]) -> None:
    shown = run("--print-config", "--config", toml("snr = 1\n"), "--fast", SMALL_TOOL_NAME="me")
    lines = shown.out.splitlines()
    assert {"snr = 1.0  # config file", "name = 'me'  # environment", "fast = True  # commandline"} <= set(lines)
    assert "log-level = 'warning'  # default" in lines
    assert (shown.code, shown.err) == (0, "")


def test_version_tells_protocol_and_libraries(run: Run) -> None:
    assert run("--version").out.startswith("semlink ")
    assert "protocol 1" in run("--version").out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--snr", "abc"), "error: Invalid value for '--snr': 'abc' is not a valid float; see small-tool --help\n"),
        (("--zzz", "1"), "error: No such option '--zzz'; see small-tool --help\n"),
        (("--snr",), "error: Option '--snr' requires an argument; see small-tool --help\n"),
        (("more",), "error: Got unexpected extra argument (more); see small-tool --help\n"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(run: Run, arguments: tuple[str, ...], line: str) -> None:
    assert run(*arguments) == Ran(2, "", line)


def test_wrong_use_in_the_environment_is_one_line_too(run: Run) -> None:
    ran = run(SMALL_TOOL_SNR="abc")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "'abc' is not a valid float" in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "snrr = 1",
            "unknown key 'snrr'; the keys are the flag names: "
            "debug, fail, fast, json, log-format, log-level, name, snr, tag",
        ),
        ("version = true", "unknown key 'version'"),
        ("snr = [1]", "snr = [1]: write the value as the flag --snr takes it"),
        ("snr = true", "snr = True: write"),
        ("name = [1]", "name = [1]: write"),
        ("name = 2020-01-01", "name = datetime.date(2020, 1, 1): write"),
        ("tag = 'a'", "tag = 'a': write"),
        ("tag = [[1]]", "tag = [[1]]: write"),
        ("tag = [true]", "tag = [True]: write"),
        ("fast = 1", "fast = 1: write"),
        ("[snr]\nvalue = 1", "snr = {'value': 1}: write"),
        ("snr = ", "not TOML: "),
        ("name = " + "[" * 4000 + "]" * 4000, "not TOML that names flags: nested too deep"),
        ("name = " + "{a = " * 2000 + "1" + "}" * 2000, "not TOML that names flags: nested too deep"),
        ("snr = " + "9" * 5000, "not TOML: Exceeds the limit"),
        ('name = "a\\u0000b"', "name = 'a\\x00b': write"),
        ("#" * 20_000, "more than 16 KiB"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(run: Run, toml: Callable[[str], str], text: str, told: str) -> None:
    file = toml(text + "\n")
    ran = run("--config", file)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert ran.err.startswith(f"error: --config {file}: {told}")


def test_a_wrong_value_in_a_file_names_the_flag(run: Run, toml: Callable[[str], str]) -> None:
    ran = run("--config", toml('snr = "abc"\n'))
    assert ran == Ran(2, "", "error: Invalid value for '--snr': 'abc' is not a valid float; see small-tool --help\n")


def test_a_file_that_is_missing_or_has_no_end_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    told = f"error: --config {tmp_path}/none.toml: No such file or directory\n"
    assert run("--config", f"{tmp_path}/none.toml") == Ran(2, "", told)
    endless = "error: --config /dev/zero: more than 16 KiB, which no list of flags has\n"
    assert run("--config", "/dev/zero") == Ran(2, "", endless)
    assert run("--config", str(tmp_path)) == Ran(2, "", f"error: --config {tmp_path}: Is a directory\n")


@pytest.mark.parametrize(
    ("name", "code"), [("ConfigError", 2), ("DataError", 2), ("SemlinkError", 1), ("PeerRejected", 3), ("LinkDown", 4)]
)
def test_each_error_has_its_exit_code_and_one_line(run: Run, name: str, code: int) -> None:
    assert run("--fail", name) == Ran(code, "", "error: this was wrong\n")


@pytest.mark.parametrize(
    ("told", "typed"),
    [
        ("name is 5", "--name is 5"),
        ("name x: name=DIR or fast=True", "--name x: --name DIR or --fast"),
        ("names are many", "names are many"),
        ("say as_json=True, or fast=True.", "say --json, or --fast."),
        ("say names=DIR or nosuch=True", "say names=DIR or nosuch=True"),
        ("say breakfast=True, name=value, fast=Truely", "say breakfast=True, name=value, fast=Truely"),
    ],
)
def test_errors_of_the_python_api_are_told_in_flags(run: Run, told: str, typed: str) -> None:
    assert run("--fail", told).err == f"error: {typed}\n"


def test_a_library_that_the_base_install_leaves_out_is_named_with_its_extra(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    told = "error: this needs torch, which the base install leaves out: install it by "
    told += "`pip install '.[model]'` in the project's folder\n"
    assert run("--fail", "ImportTorch") == Ran(2, "", told)


def test_what_the_system_refuses_is_one_line_that_names_the_file(run: Run) -> None:
    ran = run("--fail", "OSError")
    assert (ran.code, ran.err) == (1, f"error: {'x' * 300}: File name too long\n")
    assert "Traceback" in run("--fail", "OSError", "--debug").err


def test_a_folder_that_is_gone_is_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    told = "error: the current folder is not there any more; cd to one that is\n"
    assert run("--fail", "Nowhere") == Ran(1, "", told)
    assert run().code == 0
    monkeypatch.undo()


@pytest.mark.parametrize("module", ["training.distill", "training.soak"])
def test_help_is_pointed_to_as_it_can_be_typed(module: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "--no-such"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.endswith(f"; see python -m {module} --help\n")


def test_help_of_a_subcommand_is_pointed_to(capsys: pytest.CaptureFixture[str]) -> None:
    from scrx.cli import command

    with pytest.raises(SystemExit) as end:
        cli.invoke(command, "SCRX", ["enrol", "zebra"], name="scrx")
    assert end.value.code == 2
    assert capsys.readouterr().err == "error: Missing option '--next'; see scrx enrol --help\n"


@pytest.mark.parametrize(
    ("words", "commands"),
    [
        (("scrx.cli", "SCRX", "scrx", "heads"), "classes, list, load, remove, save; see scrx heads --help"),
        (("common.transport.keys", "KEYS", "keys"), "forget, list, new, show, trust; see keys --help"),
    ],
)
def test_who_names_no_command_is_told_them_in_one_line(
    words: tuple[str, ...], commands: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, prefix, name, *typed = words
    with pytest.raises(SystemExit) as end:
        cli.invoke(import_module(module).command, prefix, typed, name=name)
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: Missing command: one of {commands}\n"


def test_no_flag_takes_a_number_that_is_none() -> None:
    for room in ("common", "scrx", "sctx", "training"):
        for path in (Path(__file__).parents[1] / room).rglob("*.py"):
            if path.name != "flags.py":
                assert "FloatRange" not in path.read_text(encoding="utf-8"), f"{path}: Real of common.flags, for NaN"


def test_every_path_that_a_command_takes_is_a_users() -> None:
    for room in ("common", "scrx", "sctx", "training", "deploy"):
        for path in (Path(__file__).parents[1] / room).rglob("*.py"):
            found = re.findall(r"click\.(Path|File)\(", path.read_text(encoding="utf-8"))
            assert not found, f"{path}: UserPath of common.files, for ~"


@pytest.mark.parametrize("kind", [UserPath, OutFile, OutFolder])
def test_the_home_of_a_path_is_put_in_full_wherever_it_stands(
    kind: type[UserPath], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    @click.option("--place", type=kind())
    @cli.shared_options
    def shows(place: Path, log_level: str, debug: bool) -> None:
        """Do nothing."""
        click.echo(place)

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shows.toml").write_text('place = "~/in file"\n')
    for words, place in (
        (["--place=~/x"], "x"),
        (["--config=~/shows.toml"], "in file"),
        ([], "by name"),
        (["--place=./~x"], "~x"),
        (["--place=~nobody-such/x"], ""),
    ):
        monkeypatch.setenv("SHOWS_PLACE", "~/by name") if place == "by name" else None
        with pytest.raises(SystemExit) as ended:
            cli.invoke(shows, "SHOWS", words)
        said = capsys.readouterr()
        where = place if place.startswith("~") else str(tmp_path / place)
        assert (ended.value.code or 0, said.out) == ((0, f"{where}\n") if place else (2, ""))
    told = "~nobody-such/x: there is no such user here; write ./~nobody-such/x for a file of that name"
    assert said.err == f"error: {told}\n"


def test_interruption_is_exit_code_130(run: Run) -> None:
    assert run("--fail", "KeyboardInterrupt").code == 130


def test_a_library_that_was_interrupted_while_it_was_loaded_is_an_interruption(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImportError, match="initialization failed"):
        cli.invoke(tool, "SMALL_TOOL", ["--fail", "ImportError"])
    monkeypatch.setattr(cli, "asked_for_s", lambda: 0.1)
    assert run("--fail", "ImportError") == run("--fail", "KeyboardInterrupt") == Ran(130, "", "\n")


def test_the_traceback_is_shown_where_it_is_asked_for(run: Run, toml: Callable[[str], str]) -> None:
    for ran in (
        run("--fail", "ConfigError", "--debug"),
        run("--fail", "ConfigError", "--config", toml("debug = true\n")),
        run("--fail", "ConfigError", SMALL_TOOL_DEBUG="1"),
    ):
        assert ran.code == 2
        assert "Traceback" in ran.err
        assert ran.err.endswith("error: this was wrong\n")


CHATTY = """
import logging, sys
import click
from common import cli, console

@click.command()
@click.option("--lines", type=int, default=2)
@cli.shared_options
@click.pass_context
def chatty(context, lines, debug, log_level):
    "Δ"
    cli.begin(context, log_level)
    logging.getLogger("any").warning("noise", extra={"snr": "σ² \x1b[31m"})
    console.tell("σ is told \x1b]0;x\x07")
    for _ in range(lines):
        console.say("σ" * 10)

cli.invoke(chatty, "CHATTY")
"""


@pytest.fixture
def chatty(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a small command in a process of its own: through a shell, so that redirections are those of a shell."""
    program = tmp_path / "chatty.py"
    program.write_text(CHATTY)

    def run(redirections: str = "", *arguments: str, **environment: str) -> Ran:
        words = shlex.join([sys.executable, str(program), *arguments])
        around = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
        around |= {"PYTHONPATH": str(Path(cli.__file__).parents[1]), **environment}
        ran = subprocess.run(
            ["bash", "-c", f"{words} {redirections}"], capture_output=True, env=around, timeout=60, check=False
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return run


@pytest.mark.parametrize(
    ("redirections", "code", "out", "told"),
    [
        (">&-", 0, 0, 2),
        (">/dev/full", 1, 0, 3),
        ("2>/dev/full", 0, 2, 0),
        pytest.param("2>&-", 0, 2, 0, marks=pytest.mark.full),
        pytest.param("<&-", 0, 2, 2, marks=pytest.mark.full),
        pytest.param(">&- 2>&- <&-", 0, 0, 0, marks=pytest.mark.full),
        pytest.param(">/dev/full 2>&1", 1, 0, 0, marks=pytest.mark.full),
        pytest.param("| head -n 1", 0, 1, 2, marks=pytest.mark.full),
        pytest.param("2>&1 >/dev/null | head -n 1", 0, 1, 0, marks=pytest.mark.full),
    ],
)
def test_closed_full_and_broken_streams_are_no_traceback(
    chatty: Callable[..., Ran], redirections: str, code: int, out: int, told: int
) -> None:
    ran = chatty(redirections)
    assert (ran.code, ran.out.count("\n"), ran.err.count("\n")) == (code, out, told), ran
    assert "Traceback" not in ran.err
    if code and told:
        assert ran.err.endswith("error: standard output: No space left on device\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
@pytest.mark.parametrize("argument", ["--help", "--version", "--print-config"])
def test_standard_output_that_is_full_is_named_whoever_writes(chatty: Callable[..., Ran], argument: str) -> None:
    ran = chatty(">/dev/full", argument)
    assert (ran.code, ran.err) == (1, "error: standard output: No space left on device\n")


def test_nobody_gets_the_number_of_a_closed_stream() -> None:
    program = "from common import console; console.make_sound(); print(open('/dev/null').fileno() > 2, flush=True)"
    words = ["bash", "-c", f"{shlex.join([sys.executable, '-c', program])} <&- 2>&-"]
    ran = subprocess.run(words, capture_output=True, check=True, cwd=Path(cli.__file__).parents[1])
    assert ran.stdout == b"True\n"


ODD = [
    {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "COLUMNS": "²"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX", "TERM": "dumb"},
    *({"COLUMNS": columns} for columns in ("0", "1", "-7", "many", "99999999", "")),
]


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [(ODD[0], ()), (ODD[1], ("--help",))]
    + [pytest.param(odd, words, marks=pytest.mark.full) for odd in ODD for words in ((), ("--help",))],
)
def test_odd_terminals_are_no_traceback(
    chatty: Callable[..., Ran], environment: dict[str, str], arguments: tuple[str, ...]
) -> None:
    ran = chatty("", *arguments, **environment)
    assert ran.code == 0, ran
    assert "Traceback" not in ran.err
    assert ran.out.strip()


@pytest.mark.parametrize("form", ["text", "json"])
def test_standard_error_has_one_form(chatty: Callable[..., Ran], form: str) -> None:
    lines = chatty("", "--log-format", form).err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    if form == "json":
        noise, told = map(json.loads, lines)
        assert (noise["event"], noise["snr"]) == ("noise", "σ² \x1b[31m")
        assert (told["event"], told["text"]) == ("told", "σ is told \\x1b]0;x\\x07")
    else:
        assert lines[0].endswith(' warning noise snr="σ² \\x1b[31m"')
        assert lines[1] == "σ is told \\x1b]0;x\\x07"
    wrong = chatty("", "--log-format", form, "--lines", "many").err.splitlines()
    assert [line.startswith("{") for line in wrong] == [form == "json"]


def test_a_reader_that_goes_away_is_no_traceback(chatty: Callable[..., Ran]) -> None:
    ran = chatty("| head -n 1; exit ${PIPESTATUS[0]}", "--lines", "1000000")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "σ" * 10 + "\n", 2)


@pytest.mark.parametrize("other", ["a.json", "./a.json", "sub/../a.json", "linked.json"])
def test_two_results_are_not_written_to_one_file(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    @click.option("--json", "json_file", type=OutFile())
    @click.option("--figure", type=OutFile())
    @cli.shared_options
    @click.pass_context
    def writes(context: click.Context, log_level: str, debug: bool, **options: object) -> None:
        """Do nothing."""
        cli.begin(context, log_level)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "linked.json").symlink_to("a.json")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(SystemExit) as ended:
        cli.invoke(writes, "WRITES", ["--json", "circle"])
    assert ended.value.code == 2
    assert "circle is a link to nothing" in capsys.readouterr().err
    for words, code in ((["--figure", other], 2), (["--figure", "b.png"], 0), ([], 0)):
        with pytest.raises(SystemExit) as ended:
            cli.invoke(writes, "WRITES", ["--json", "a.json", *words])
        assert (ended.value.code or 0) == code
    assert "--json and --figure name one file" in capsys.readouterr().err
