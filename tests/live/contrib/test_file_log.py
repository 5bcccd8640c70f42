"""file-log: configuration, the file, and through an app; at the end real gunicorn and logrotate."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.support.servers import require_program
from tests.unit.contrib.test_file_log import entries
from tests.unit.contrib.test_file_log import path as path

SERVED = """
    from plugmw import Gateway
    from plugmw.contrib.file_log import FileLog

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    app = Gateway(app, plugins=[FileLog(path={path!r}, reopen={reopen})])
"""


def test_lines_of_four_workers_do_not_mix(gunicorn, path):
    server = gunicorn(
        SERVED.format(path=path, reopen=False), workers=4, args=["--limit-request-field_size", "8190"]
    )
    big = "x" * 3000

    def ask(number):
        with requests.Session() as session:
            for turn in range(250):
                answer = session.get(f"{server.url}/{number}/{turn}", headers={"X-Big": big}, timeout=10)
                assert answer.status_code == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert server.stop() == 0
    found = entries(path)
    assert sorted(entry["request"]["uri"] for entry in found) == sorted(
        f"/{number}/{turn}" for number in range(8) for turn in range(250)
    )
    assert all(entry["request"]["headers"]["x-big"] == big for entry in found)


@pytest.mark.parametrize("reopen", [False, True])
def test_logrotate_takes_the_file_and_reopen_follows(gunicorn, tmp_path, reopen):
    logrotate = require_program("logrotate")
    folder = tmp_path / "rotated"
    folder.mkdir(0o755)
    path = str(folder / "log")
    server = gunicorn(SERVED.format(path=path, reopen=reopen))
    requests.get(f"{server.url}/before", timeout=10)
    rules = tmp_path / "rules"
    rules.write_text(f"{path} {{\n  rotate 2\n  nocreate\n  su {os.geteuid()} {os.getegid()}\n}}\n")
    user = ["--state", str(tmp_path / "state"), "--force", str(rules)]
    done = subprocess.run([logrotate, *user], capture_output=True, text=True)
    if "unknown user" in done.stderr or "su" in done.stderr:
        rules.write_text(f"{path} {{\n  rotate 2\n  nocreate\n}}\n")
        subprocess.run([logrotate, *user], check=True, capture_output=True)
    requests.get(f"{server.url}/after", timeout=10)
    assert server.stop() == 0
    rotated = [entry["request"]["uri"] for entry in entries(path + ".1")]
    if reopen:
        assert rotated == ["/before"]
        assert [entry["request"]["uri"] for entry in entries(path)] == ["/after"]
    else:
        assert rotated == ["/before", "/after"]
        assert not os.path.exists(path)


def test_tls_is_told_under_gunicorn(gunicorn, path, tmp_path):
    from tests.support.sinks import Certificate

    certificate = Certificate(tmp_path)
    server = gunicorn(
        SERVED.format(path=path, reopen=False),
        args=["--certfile", str(certificate.file), "--keyfile", str(certificate.key)],
    )
    url = server.url.replace("http://", "https://")
    assert requests.get(url, verify=str(certificate.file), timeout=10).status_code == 200
    assert server.stop() == 0
    [entry] = entries(path)
    assert entry["request"]["url"].startswith("https://127.0.0.1:")
    tls = entry["request"]["tls"]
    assert (tls["version"], tls["client_verify"]) == ("TLSv1.3", "NONE")
    assert tls["cipher"].startswith("TLS_")
