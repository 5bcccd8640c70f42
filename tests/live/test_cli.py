"""The command line: each command through ``main``, and the real program for pipes, terminals and statuses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.unit.test_cli import BAD, environment, plugmw, write
from tests.unit.test_cli import folder as folder
from tests.unit.test_cli import run as run

# -- the program --------------------------------------------------------------------------------------


def test_the_program_names_its_version():
    from plugmw import __version__

    assert plugmw("--version").stdout.decode().strip() == f"plugmw {__version__}"


def test_the_program_ends_quietly_when_its_reader_goes(folder):
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-m", "plugmw", "show", "gateway.yaml"]
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, timeout=60, env=environment())
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# -- new ----------------------------------------------------------------------------------------------


def test_new_writes_a_plugin_that_works_and_a_test_that_passes(run, folder):
    status, out, _ = run("new", "my-hello", "--folder", "mine")
    assert (status, out.splitlines()[0]) == (0, "wrote mine/my_hello.py and mine/tests/test_my_hello.py")
    name = write(folder, "folders: [{path: mine}]\nplugins: [{name: my-hello}]")
    assert "my-hello: response headers changed: X-My-Hello" in run("explain", name, "GET", "/")[1]
    arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "mine/tests"]
    done = subprocess.run(arguments, env=environment(), capture_output=True, text=True)
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("check", "gateway.yaml"), 0), (("check", "bad.yaml"), 1), (("check", "no"), 2), ((), 2)],
)
def test_the_program_ends_with_the_status(folder, arguments, status):
    write(folder, BAD)
    done = plugmw(*arguments)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr


def test_the_program_prints_in_every_encoding(folder):
    write(folder, "routes: [{name: café, paths: [/café]}]")
    for encoding, text in (("ascii", b"route caf\\xe9: paths /caf\\xe9"), ("utf-8", "route café".encode())):
        done = plugmw("show", "bad.yaml", PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        assert text in done.stdout
