"""Keys lie where only their owner can read them, and nothing that goes wrong shows or loses one."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from common.cli import invoke
from common.errors import ConfigError
from common.transport.keys import command
from common.transport.keystore import TOOL, Keys, default_folder, find_keys, make_keys

PUBLIC = bytes(range(32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a" / "keys"


@pytest.fixture
def keys(folder: Path) -> Keys:
    return make_keys(folder, "rxhost")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}


def test_a_new_pair_is_readable_by_its_owner_only_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        keys = make_keys(folder, "rxhost")
        keys.trust("emuhost", PUBLIC)
    finally:
        os.umask(before)
    assert modes(folder) == {"keys": 0o700, "own.secret": 0o600, "trusted": 0o600}
    assert z85.decode(zmq.curve_public(z85.encode(keys.own.secret))) == keys.own.public


def test_two_pairs_differ_and_the_second_does_not_replace_the_first(folder: Path, tmp_path: Path) -> None:
    first, text = make_keys(folder, "rxhost"), (folder / "own.secret").read_text()
    assert make_keys(tmp_path / "other", "rxhost").own.secret != first.own.secret
    with pytest.raises(ConfigError, match="is there already: it was not touched"):
        make_keys(folder, "rxhost")
    assert (folder / "own.secret").read_text() == text
    assert sorted(modes(folder)) == ["keys", "own.secret"]  # no half-written file is left


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_can_read_is_refused(keys: Keys, mode: int) -> None:
    secret = keys.folder / "own.secret"
    secret.chmod(mode)
    with pytest.raises(ConfigError, match=rf"own\.secret can be read by others than its owner: chmod 600 {secret}"):
        Keys(keys.folder)


@pytest.mark.parametrize(("name", "mode"), [("", 0o770), ("", 0o702), ("trusted", 0o620), ("trusted", 0o602)])
def test_a_list_that_others_can_change_is_refused(keys: Keys, name: str, mode: int) -> None:
    keys.trust("emuhost", PUBLIC)
    (keys.folder / name).chmod(mode)
    with pytest.raises(ConfigError, match="can be changed by others"):
        Keys(keys.folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_another_user_is_refused(keys: Keys) -> None:
    os.chown(keys.folder / "own.secret", 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to another user"):
        Keys(keys.folder)


def test_a_secret_is_in_no_text_about_it(keys: Keys) -> None:
    secret = keys.own.secret
    shown = repr(keys.own) + str(keys.own) + repr(vars(keys))
    assert not [form for form in (secret.hex(), repr(secret), z85.encode(secret).decode()) if form in shown]


@pytest.mark.parametrize("text", ["", "rxhost", "rxhost {}ab", "rxhost {} {}", "{}", "rxhost {}\nmore {}", "-x {}"])
def test_a_damaged_secret_is_told_without_showing_it(keys: Keys, text: str) -> None:
    path, secret = keys.folder / "own.secret", keys.own.secret.hex()
    path.write_text(text.format(secret, secret))
    with pytest.raises(ConfigError) as error:
        Keys(keys.folder)
    assert str(path) in str(error.value)
    assert secret not in str(error.value)


def test_what_is_trusted_is_read_again_when_it_changes(keys: Keys) -> None:
    other = Keys(keys.folder)
    keys.trust("emuhost", PUBLIC)
    assert not other.admits(PUBLIC)
    other.refresh()
    assert other.admits(PUBLIC)
    assert (other.name_of(PUBLIC), other.name_of(bytes(32))) == ("emuhost", "unknown key 000000000000")
    keys.forget("emuhost")
    other.refresh()
    assert not other.admits(PUBLIC)
    assert other.admits(other.own.public)


def test_a_line_that_cannot_be_read_lets_nobody_in_and_the_others_hold(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    trusted = keys.folder / "trusted"
    trusted.write_text(f"# whom rxhost trusts\n\nemuhost {PUBLIC.hex()}\nother {'00' * 31}\n")
    keys.refresh()
    keys.refresh()
    assert keys.trusted == {"emuhost": PUBLIC}
    assert [vars(record)["why"].partition("line ")[2] for record in caplog.records] == [
        "4: not a name and a key of 64 hex digits"
    ]
    with pytest.raises(ConfigError, match="line 4"):
        Keys(keys.folder)
    trusted.chmod(0o666)
    keys.refresh()
    assert keys.trusted == {}
    trusted.unlink()
    keys.refresh()
    assert keys.trusted == {}


def test_an_ipv4_peer_is_one_host_however_its_address_is_written(keys: Keys) -> None:
    key = bytes(range(32))
    keys.trust("::ffff:10.0.0.7", key)
    assert keys.of_host("10.0.0.7", local=False) == key
    keys.trust("10.0.0.7", key[::-1])
    assert keys.trusted == {"10.0.0.7": key[::-1]}
    (keys.folder / "trusted").write_text(f"::ffff:a00:7 {key.hex()}\n")
    keys.refresh()
    assert keys.of_host("10.0.0.7", local=False) == key
    keys.forget("::ffff:10.0.0.7")
    assert keys.trusted == {}


def test_two_who_trust_at_once_lose_nothing(keys: Keys) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Keys(keys.folder).trust(f"host{n}", bytes([n]) * 32), range(24)))
    assert len(Keys(keys.folder).trusted) == 24


def test_remarks_and_the_order_of_lines_stay_as_they_were_written(keys: Keys) -> None:
    trusted, other = keys.folder / "trusted", bytes(32)
    trusted.write_text(f"# the lab\nzoo {PUBLIC.hex()}\n\n# emuhost moved in May\nemuhost {PUBLIC.hex()}\n# end")
    keys.trust("emuhost", other)
    keys.trust("late", other)
    keys.forget("zoo")
    assert trusted.read_text() == (
        f"# the lab\n\n# emuhost moved in May\nemuhost {other.hex()}\n# end\nlate {other.hex()}\n"
    )
    assert keys.trusted == {"emuhost": other, "late": other}


@pytest.mark.parametrize("damage", ["mode", "not text", "size"])
def test_a_list_that_cannot_be_read_is_not_replaced(keys: Keys, damage: str) -> None:
    trusted = keys.folder / "trusted"
    keys.trust("emuhost", PUBLIC)
    with trusted.open("ab") as file:
        file.write(b"# \xff\n" if damage == "not text" else b"#\n" * ((1 << 19) if damage == "size" else 1))
    if damage == "mode":
        trusted.chmod(0o666)
    before = trusted.read_bytes()
    for change in (lambda: keys.trust("other", PUBLIC), lambda: keys.forget("emuhost")):
        with pytest.raises(ConfigError, match=str(trusted)):
            change()
    assert trusted.read_bytes() == before


def test_a_list_that_vanishes_while_it_is_looked_at_lets_nobody_in(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.trust("emuhost", PUBLIC)
    trusted = keys.folder / "trusted"
    trusted.touch()  # to be read again
    looked = Path.stat

    def look_and_lose(path: Path) -> os.stat_result:
        about = looked(path)
        if path == trusted:
            trusted.unlink()
        return about

    monkeypatch.setattr(Path, "stat", look_and_lose)
    keys.refresh()
    assert keys.trusted == {}


def test_a_list_that_cannot_be_looked_at_lets_nobody_in_and_is_told_once_until_it_can(
    keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    trusted = keys.folder / "trusted"
    keys.trust("emuhost", PUBLIC)
    text = trusted.read_text()
    for _ in range(2):
        trusted.unlink()
        trusted.symlink_to(trusted)  # an error of stat that is not "not there"
        keys.refresh()
        keys.refresh()
        assert keys.trusted == {}
        trusted.unlink()
        trusted.write_text(text)
        keys.refresh()
        assert keys.trusted == {"emuhost": PUBLIC}
    assert [vars(record)["why"].partition(": ")[2] for record in caplog.records] == [os.strerror(errno.ELOOP)] * 2


def test_half_a_file_of_a_process_that_died_is_in_nobodys_way(keys: Keys) -> None:
    (keys.folder / f".trusted.{os.getpid()}").touch()  # in a container every process has the same number
    keys.trust("emuhost", PUBLIC)
    assert Keys(keys.folder).trusted == {"emuhost": PUBLIC}


def test_a_peer_is_looked_up_by_the_host_that_was_typed(keys: Keys) -> None:
    keys.trust("emuhost", PUBLIC)
    assert keys.of_host("emuhost", local=False) == PUBLIC
    assert keys.of_host("127.0.0.1", local=True) == keys.of_host("rxhost", local=False) == keys.own.public
    keys.trust("127.0.0.1", PUBLIC)  # a tunnel
    assert keys.of_host("127.0.0.1", local=True) == PUBLIC
    with pytest.raises(ConfigError, match=r"no trusted key for otherhost in .*: run `.* show` there and `.* trust"):
        keys.of_host("otherhost", local=False)


def test_without_a_folder_the_users_own_is_taken_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert find_keys(None) is None
    own = make_keys(default_folder(), "here").own
    found = find_keys(None)
    assert found is not None
    assert found.own == own
    assert find_keys(None, insecure=True) is None
    with pytest.raises(ConfigError, match="exclude each other"):
        find_keys(default_folder(), insecure=True)


def test_a_folder_that_was_asked_for_must_have_a_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no key in .*: make one with `.* --keys .* new NAME`"):
        find_keys(tmp_path)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process: exit code, standard output, standard error."""

    def run(folder: Path, *words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            invoke(command, "SEMLINK", ["--keys", str(folder), *words], name=TOOL)
        return int(end.value.code or 0), *capsys.readouterr()

    return run


def test_the_command_runs_as_a_module(keys: Keys) -> None:
    words = [sys.executable, "-m", "common.transport.keys", "--keys", str(keys.folder), "show"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"rxhost {keys.own.public.hex()}\n", "")


def test_the_command_makes_shows_trusts_lists_and_forgets(run: Run, folder: Path, tmp_path: Path) -> None:
    shown = run(folder, "new", "rxhost")
    assert run(folder, "show") == shown
    assert run(tmp_path / "emu", "new", "emuhost")[0] == 0
    assert run(tmp_path / "emu", "trust", *shown[1].split()) == (0, "", "")
    assert run(tmp_path / "emu", "list") == shown
    assert run(tmp_path / "emu", "trust", *shown[1].split()) == (0, "", "")
    key = shown[1].split()[1]
    code, _, said = run(tmp_path / "emu", "trust", "rxhost", "ab" * 32)
    assert (code, said) == (0, f"note: rxhost had another key, {key}, which is trusted no longer\n")
    assert run(tmp_path / "emu", "trust", "rxhost", key)[2].startswith("note: rxhost had another key, abab")
    assert run(tmp_path / "emu", "forget", "rxhost") == (0, "", "")
    assert run(tmp_path / "emu", "list") == (0, "", "")
    assert (folder / "own.secret").read_text().split()[1] not in str(shown)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("new", "two words"), "'two words' is no name for a key"),
        (("new", "other"), "is there already"),
        (("trust", "emuhost", "abc"), "not a name and a key of 64 hex digits"),
        (("trust", "emuhost", "SECRET"), "this is the secret key of this host"),
        (("forget", "nobody"), "no key is trusted as nobody; trusted: nobody"),
        (("eat", "keys"), "No such command 'eat'; see python -m common.transport.keys --help"),
    ],
)
def test_wrong_use_of_the_command_is_one_line(run: Run, keys: Keys, words: tuple[str, ...], told: str) -> None:
    secret = keys.own.secret.hex()
    code, out, err = run(keys.folder, *(secret if word == "SECRET" else word for word in words))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert secret not in err


def test_no_key_to_show_is_told(run: Run, tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "show")
    assert code == 2
    assert err.startswith(f"error: no key in {tmp_path}: make one with")
