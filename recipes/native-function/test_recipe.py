"""The README's sessions, with both libraries compiled and run under gunicorn."""

import shutil
from pathlib import Path

import pytest
import requests

from tests.support.native import built
from tests.support.servers import require_program
from tests.support.transcript import check_sessions
from tests.support.waiting import until

HERE = Path(__file__).parent


@pytest.fixture
def folder(tmp_path):
    copy = shutil.copytree(HERE, tmp_path / "recipe", ignore=shutil.ignore_patterns("*.so", ".plugmw-*"))
    return copy


def serve(gunicorn, folder, **options):
    config = str(folder / "gunicorn.conf.py")
    return gunicorn("app:app", args=["--chdir", str(folder), "--config", config], **options)


def test_answers_as_the_readme_shows(gunicorn, folder):
    for source in ("hello.go", "hello_in_c.c"):
        shutil.copy(built(source, HERE / "lib/src"), folder / "lib")
    server = serve(gunicorn, folder, workers=2)
    check_sessions(folder / "README.md", server.url)
    assert server.stop() == 0


def test_workers_compile_once_at_their_start_when_asked_to(gunicorn, folder):
    for program in ("go", "cc"):
        require_program(program)
    built("hello.go", HERE / "lib/src")  # so that Go has compiled its own library
    path = folder / "gateway.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "      build: true\n", encoding="utf-8")
    server = serve(gunicorn, folder, workers=2)
    until(lambda: requests.get(server.url, timeout=60).status_code == 200)
    for name in ("hello", "hello_in_c"):
        answer = requests.get(f"{server.url}/_PLUGIN/{name}/Hello?abc=123", timeout=60)
        assert answer.json()["http_vars"] == {"file": name, "func": "Hello"}
    assert {path.name for path in (folder / "lib").glob("*.so")} == {"hello.so", "hello_in_c.so"}
