"""What every command line of the project shares: flags > environment > TOML, --version, one-line errors, exit codes.

Knows nothing about what the commands do.
"""

import gc
import os
import sys
import tomllib
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from common import PROTOCOL, __version__, console, log
from common.errors import ConfigError, SemlinkError, by_pip
from common.files import OutFile, UserPath
from common.flags import say_flags
from common.shutdown import asked_for_s

F = TypeVar("F", bound=Callable[..., Any])
MOST_CONFIG_BYTES = 16 << 10

EXTRA_OF = {
    "torch": "model", "onnxruntime": "edge", "PIL": "edge", "onnx": "export",
    "pyarrow": "parquet", "transformers": "train", "datasets": "train",
    "sklearn": "train", "matplotlib": "train", "sionna": "baselines", "huggingface_hub": "hub",
    "cv2": "video",
}  # fmt: skip
"""Libraries that the base install leaves out -> the extra that brings them."""


def shared_options(command: F) -> F:
    """Add --config, --print-config, --log-level, --log-format, --debug and --version to a click command."""
    for option in (
        click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
                     help="Show version, protocol and libraries, and exit."),
        click.option("--debug", is_flag=True, callback=_note_debug, help="Show the traceback of an error."),
        click.option("--log-format", type=click.Choice(log.FORMATS), default="text", expose_value=False,
                     callback=_set_log_format, help="Form of every line on standard error."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning",
                     help="Lowest level of the log lines on standard error."),
        click.option("--print-config", is_flag=True, is_eager=True, expose_value=False, callback=_note_print_config,
                     help="Show every setting and where it comes from, and exit."),
        click.option("--config", type=UserPath(), is_eager=True, expose_value=False, metavar="FILE",
                     callback=_load_config, help="TOML file whose keys are the flag names; flags and environment win."),
    ):  # fmt: skip
        command = option(command)
    return command


def keys_option(command: F) -> F:
    """Add --keys to a click command that listens or connects."""
    text = "Folder with this host's key and the keys that it trusts.  [default: the user's own folder, if it has a key]"
    return click.option("--keys", type=UserPath(), metavar="DIR", help=text)(command)


def check_option(command: F) -> F:
    """Add --check to a click command."""
    text = "Look at all that must be right, say a line each with what to do, and exit: 0 if all is well."
    return click.option("--check", is_flag=True, help=text)(command)


def json_file_option(command: F) -> F:
    """Add --json-file to a click command."""
    text = (
        "What --json prints, at the end of a file. It may be renamed meanwhile (logrotate): the next line begins anew."
    )
    return click.option("--json-file", type=OutFile(), metavar="FILE", help=text)(command)


def invoke(command: click.Command, prefix: str, arguments: list[str] | None = None, name: str = "") -> NoReturn:
    """Run a click command with environment names PREFIX_FLAG; turn errors into one line and an exit code.

    name: what to type to run it (default: `python -m MODULE` where PREFIX is the module's name and it was started so,
    else the prefix in small letters).
    """
    name, noted = name or _typed(prefix), dict[str, Any]()
    console.make_sound()
    name_environment(command, prefix)
    try:
        code = command.main(arguments, name, standalone_mode=False, auto_envvar_prefix=prefix, obj=noted)
    except click.exceptions.Abort:
        code = 130
    except click.exceptions.NoArgsIsHelpError as error:
        _tell(f"Missing command: one of {_commands(error)}; see {error.ctx.command_path} --help")
        code = error.exit_code
    except click.ClickException as error:
        typed = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else name
        _tell(f"{error.format_message().rstrip('.')}; see {typed} --help")
        code = error.exit_code
    except (SemlinkError, ModuleNotFoundError) as error:
        told = error if isinstance(error, SemlinkError) else _missing(error)
        if noted.get("debug"):
            traceback.print_exc()
        _tell(say_flags(str(told), command))
        code = told.exit_code
    except ImportError:
        if asked_for_s() < 0.0:
            raise
        console.tell("")  # a signal came while a library was being loaded, whose C code makes an ImportError of it
        code = 130
    except OSError as error:  # of the system, not of ours: a file that may not be read, a disk that is full
        if noted.get("debug"):
            traceback.print_exc()
        code = _tell_system(error)
    except SystemExit as end:  # click's own way out where the reader of standard output has left
        code = end.code
    if (problem := console.finish()) is not None and not code:
        code = _tell_system(problem)
    gc.freeze()  # the last collection of all would visit everything that torch has made
    sys.exit(code if isinstance(code, int) else 0)


def name_environment(command: click.Command, prefix: str) -> None:
    """Let PREFIX_FLAG set each flag, whatever its parameter is called."""
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            parameter.envvar = f"{prefix}_{_flag(parameter).upper().replace('-', '_')}"


def _typed(prefix: str) -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name.replace(".", "_").upper() == prefix:
        return f"python -m {spec.name}"
    return prefix.lower().replace("_", "-")


def begin(context: click.Context, log_level: str) -> None:
    """First line of every command: print the settings and leave if asked to, then set up the log."""
    if context.obj.get("print_config"):
        for parameter in sorted(_settings(context), key=_flag):
            name = str(parameter.name)
            source = context.get_parameter_source(name)
            where = source.name.lower().replace("default_map", "config file") if source else "default"
            value = context.params[name] if parameter.expose_value else context.obj[name]
            console.say(f"{_flag(parameter)} = {value!r}  # {where}")
        context.exit(0)
    log.set_up(log_level, context.obj["log_format"])
    _refuse_one_file(context)


def _refuse_one_file(context: click.Context) -> None:
    """Two results that would be written to one file, of which the second would be all that is left."""
    named: dict[str, str] = {}
    for parameter in context.command.params:
        path = context.params.get(str(parameter.name)) if isinstance(parameter.type, OutFile) else None
        if path is None or (Path(path).exists() and not Path(path).is_file()):  # a device, a pipe
            continue
        if (other := named.setdefault(os.path.realpath(path), parameter.opts[0])) != parameter.opts[0]:
            raise click.UsageError(f"{other} and {parameter.opts[0]} name one file: give each its own")


def _is_somewhere() -> bool:
    with suppress(FileNotFoundError):
        return bool(os.getcwd())
    return False


def _missing(error: ModuleNotFoundError) -> SemlinkError:
    library = (error.name or "").partition(".")[0]
    if library not in EXTRA_OF:
        raise error
    return ConfigError(
        f"this needs {library}, which the base install leaves out: install it by {by_pip(EXTRA_OF[library])}"
    )


def _commands(error: click.exceptions.NoArgsIsHelpError) -> str:
    group = error.ctx.command
    return ", ".join(group.list_commands(error.ctx)) if isinstance(group, click.Group) else "those it knows"


def _tell(text: str) -> None:
    console.tell(f"error: {' '.join(text.split())}", "error")


def _tell_system(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):  # who reads no more has no use for a word about it
        gone = isinstance(error, FileNotFoundError) and not error.filename and not _is_somewhere()
        told = "the current folder is not there any more; cd to one that is" if gone else error.strerror or str(error)
        _tell(f"{error.filename}: {told}" if error.filename else told)
    return SemlinkError.exit_code


def _print_version(context: click.Context, _: click.Parameter, on: bool) -> None:
    if not on or context.resilient_parsing:
        return
    import zmq

    libraries = f"pyzmq {zmq.pyzmq_version()}, libzmq {zmq.zmq_version()}, curve {'yes' if zmq.has('curve') else 'no'}"
    console.say(f"semlink {__version__}, protocol {PROTOCOL}, {libraries}")
    context.exit(0)


def _note_print_config(context: click.Context, _: click.Parameter, on: bool) -> None:
    context.obj["print_config"] = on


def _set_log_format(context: click.Context, _: click.Parameter, form: str) -> None:
    context.obj["log_format"] = form
    log.set_up("warning", form)  # `begin` knows the level; until then wrong use is told in this form


def _note_debug(context: click.Context, _: click.Parameter, on: bool) -> bool:
    context.obj["debug"] = on
    return on


def _load_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("rb") as file:  # a pipe is one, too: --config <(...)
            raw = file.read(MOST_CONFIG_BYTES + 1)
        if len(raw) > MOST_CONFIG_BYTES:
            raise ConfigError(f"--config {path}: more than {MOST_CONFIG_BYTES >> 10} KiB, which no list of flags has")
        values = tomllib.loads(raw.decode())
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are some, and so is a number without end
        raise ConfigError(f"--config {path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"--config {path}: not TOML that names flags: nested too deep") from None
    known = {_flag(parameter): parameter for parameter in _settings(context)}
    defaults = dict(context.default_map or {})
    for key, value in values.items():
        parameter = known.get(key.replace("_", "-"))
        if parameter is None:
            raise ConfigError(
                f"--config {path}: unknown key {key!r}; the keys are the flag names: {', '.join(sorted(known))}"
            )
        if not _fits(parameter, value) or "\0" in str(value):
            raise ConfigError(f"--config {path}: {key} = {value!r}: write the value as the flag --{key} takes it")
        defaults[str(parameter.name)] = _as_typed(value)
    context.default_map = defaults


def _settings(context: click.Context) -> list[click.Parameter]:
    return [one for one in context.command.params if one.expose_value or one.name == "log_format"]


def _flag(parameter: click.Parameter) -> str:
    """`json` of --json, which the code may know under another name."""
    return max(parameter.opts, key=len).lstrip("-")


def _as_typed(value: Any) -> Any:
    """A TOML value as the flag would be given it: click takes 1.5 for a whole number, and "1.5" not."""
    if isinstance(value, list):
        return [_as_typed(one) for one in value]
    return value if isinstance(value, bool) else str(value)


def _fits(parameter: click.Parameter, value: object) -> bool:
    """Whether a TOML value has the form of the flag: an array for a repeated one, true or false for a switch."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return isinstance(value, bool)
    if isinstance(parameter, click.Option) and parameter.multiple:
        return isinstance(value, list) and all(map(_is_plain, value))
    return _is_plain(value)


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
