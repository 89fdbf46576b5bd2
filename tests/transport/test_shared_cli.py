"""What every command line shares, on a small command: precedence, one-line errors, exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from common import cli
from common.errors import ConfigError, DataError, LinkDown, PeerRejected, SemlinkError


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
    if fail == "OSError":
        Path("x" * 300).stat()
    if fail in errors:
        raise errors[fail]("this was\nwrong")
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
    monkeypatch.setattr(cli.log, "set_up", lambda level: None)

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
            "unknown key 'snrr'; the keys are the flag names: debug, fail, fast, json, log-level, name, snr, tag",
        ),
        ("version = true", "unknown key 'version'"),
        ("snr = [1]", "snr = [1]: write the value as the flag --snr takes it"),
        ("snr = true", "snr = True: write"),
        ("name = [1]", "name = [1]: write"),
        ("name = 2020-01-01", "name = datetime.date(2020, 1, 1): write"),
        ("tag = 'a'", "tag = 'a': write"),
        ("fast = 1", "fast = 1: write"),
        ("[snr]\nvalue = 1", "snr = {'value': 1}: write"),
        ("snr = ", "not TOML: "),
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


def test_a_missing_file_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    told = f"error: --config {tmp_path}/none.toml: No such file or directory\n"
    assert run("--config", f"{tmp_path}/none.toml") == Ran(2, "", told)
    assert run("--config", str(tmp_path)) == Ran(2, "", f"error: --config {tmp_path}: Is a directory\n")


@pytest.mark.parametrize(
    ("name", "code"), [("ConfigError", 2), ("DataError", 2), ("SemlinkError", 1), ("PeerRejected", 3), ("LinkDown", 4)]
)
def test_each_error_has_its_exit_code_and_one_line(run: Run, name: str, code: int) -> None:
    assert run("--fail", name) == Ran(code, "", "error: this was wrong\n")


def test_a_library_that_the_base_install_leaves_out_is_named_with_its_extra(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    told = "error: this needs torch, which the base install leaves out: install semlink[model]\n"
    assert run("--fail", "ImportTorch") == Ran(2, "", told)


def test_what_the_system_refuses_is_one_line_that_names_the_file(run: Run) -> None:
    ran = run("--fail", "OSError")
    assert (ran.code, ran.err) == (1, f"error: {'x' * 300}: File name too long\n")
    assert "Traceback" in run("--fail", "OSError", "--debug").err


@pytest.mark.parametrize("module", ["training.distill", "training.soak"])
def test_help_is_pointed_to_as_it_can_be_typed(module: str) -> None:
    ran = subprocess.run([sys.executable, "-m", module, "--no-such"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.endswith(f"; see python -m {module} --help\n")


def test_interruption_is_exit_code_130(run: Run) -> None:
    assert run("--fail", "KeyboardInterrupt").code == 130


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
import click
from common import cli

@click.command()
@cli.shared_options
def chatty(debug, log_level):
    while True:
        click.echo("x" * 1000)

cli.invoke(chatty, "CHATTY")
"""


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    program = tmp_path / "chatty.py"
    program.write_text(CHATTY)
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 1
