"""A daemon that cannot start says why in one line, and leaves what is another's alone."""
import subprocess

import pytest

import live


def run(*flags):
    done = subprocess.run([live.BUILD / "isthmusd", *map(str, flags)], capture_output=True,
                          text=True, timeout=live.START_S, check=False)
    return done.returncode, done.stderr


@pytest.mark.parametrize("kind, told", [("file", "is not a folder"),
                                        ("below", "Not a directory")])
def test_no_folder(tmp_path, kind, told):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    code, log = run("--data", taken if kind == "file" else taken / "data",
                    "--listen", "127.0.0.1:0")
    assert code == 1
    assert "start_failed" in log and told in log


@pytest.mark.parametrize("flags, told", [
    (("--listen", "0.0.0.0:0"), "--allow-public-without-keys"),
    (("--listen", "nowhere"), "HOST:PORT"),
    (("--listen", "127.0.0.1:65536"), "HOST:PORT"),
])
def test_no_address(tmp_path, flags, told):
    code, log = run("--data", tmp_path / "data", *flags)
    assert code == 1
    assert told in log


def test_taken(daemon, tmp_path):
    """The folder, the port and the ready file of a running daemon stay its own."""
    ready = daemon.folder / "ready"
    for data, listen in ((daemon.folder / "data", "127.0.0.1:0"),
                         (tmp_path / "data", daemon.address)):
        code, log = run("--data", data, "--listen", listen, "--ready-file", ready)
        assert code == 1
        assert "in use" in log
        assert ready.read_text() == f"{daemon.address}\n"
    assert daemon.ask("GET", "/livez")[0] == 200


@pytest.mark.parametrize("text, told", [
    ('\n\nworkes = 3\n', ":3: workes: no such key"),
    ('workers = "3"\n', ":1: workers: must be an integer"),
    ("# one\nworkers = 0\n", ":2: workers: must be 1 to 256"),
    ('log_level = "loud"\n', ":1: log_level: must be one of"),
    ("workers 3\n", ":1: "),
])
def test_mistakes_in_the_file(tmp_path, text, told):
    file = tmp_path / "isthmus.toml"
    file.write_text(text)
    code, log = run("--data", tmp_path / "data", "--config", file)
    assert code == 2
    assert f"{file}{told}" in log
