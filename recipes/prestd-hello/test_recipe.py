"""The README's session, and the response of prestd's document, from the recipe under gunicorn."""

import shutil
from pathlib import Path

import requests

from tests.support.transcript import check_sessions

HERE = Path(__file__).parent

#: As the document shows it.
RESPONSE = {
    "http_vars": {"file": "hello", "func": "Hello"},
    "url_query": {"abc": ["123"]},
    "msg": "Hello plugin caller!",
}


def serve(gunicorn, folder):
    return gunicorn("app:app", args=["--chdir", str(folder), "--config", str(folder / "gunicorn.conf.py")])


def test_answers_as_the_readme_shows(gunicorn):
    server = serve(gunicorn, HERE)
    check_sessions(HERE / "README.md", server.url)
    answer = requests.get(f"{server.url}/_PLUGIN/hello/Hello", params={"abc": "123"}, timeout=10)
    assert answer.json() == RESPONSE


def test_a_file_that_is_written_while_the_server_runs_is_there(gunicorn, tmp_path):
    folder = shutil.copytree(HERE, tmp_path / "recipe")
    server = serve(gunicorn, folder)
    url = f"{server.url}/_PLUGIN/bye/Bye"
    assert requests.get(url, timeout=10).status_code == 404
    (folder / "lib/bye.py").write_text("def GETByeHandler(request):\n    return '1', 202\n", encoding="utf-8")
    assert requests.get(url, timeout=10).status_code == 202
