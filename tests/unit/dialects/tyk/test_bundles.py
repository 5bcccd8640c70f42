"""Bundles of several APIs on one server, and files that are only looked at."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import Client

from plugmw import Gateway, cli
from plugmw.bundles import Bundles, download
from plugmw.testing import hello_app
from tests.support.stub import Told, stub


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(download, "LONGEST_PAUSE", 0.0)


@pytest.fixture
def apis(tmp_path):
    """Write definitions of three APIs with a bundle each, for a server; returns their folder."""

    def write(url):
        folder = tmp_path / "apps"
        folder.mkdir()
        for number in range(3):
            definition = {
                "name": f"api{number}",
                "use_keyless": True,
                "proxy": {"listen_path": f"/{number}/"},
                "custom_middleware_bundle": f"{number}.zip",
            }
            (folder / f"{number}.json").write_text(json.dumps(definition))
        conf = {"bundle_base_url": url, "enable_bundle_downloader": True, "middleware_path": str(tmp_path)}
        conf["allow_unsigned_bundles"] = True
        (tmp_path / "tyk.conf").write_text(json.dumps(conf))
        return folder

    return write


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_tried_for_one_api_and_not_for_each(apis, caplog, monkeypatch):
    with stub(lambda asked: None) as server:
        url = f"http://127.0.0.1:{server.port}"
        folder = apis(url)
        shorter = {**Bundles.__init__.__kwdefaults__, "deadline": 0.1}
        monkeypatch.setattr(Bundles.__init__, "__kwdefaults__", shorter)
        gateway = Gateway.from_tyk(hello_app, folder, reload=False)
        assert {asked.target for asked in server.asked} == {"/0.zip"}
    assert "no whole answer within" in caplog.text
    assert "not asked: its server did not answer a moment ago" in caplog.text
    assert [Client(gateway).get(f"/{number}/").status_code for number in range(3)] == [404] * 3


@pytest.mark.slow
def test_a_server_that_answers_wrongly_is_tried_for_each(apis):
    with stub(lambda asked: Told(404)) as server:
        Gateway.from_tyk(hello_app, apis(f"http://127.0.0.1:{server.port}"), reload=False)
        assert {asked.target for asked in server.asked} == {"/0.zip", "/1.zip", "/2.zip"}


def test_a_check_fetches_nothing_and_says_so(apis, capsys):
    with stub(lambda asked: Told(404)) as server:
        folder = apis(f"http://127.0.0.1:{server.port}")
        assert cli.main(["check", str(folder / "0.json")]) == 0
        assert server.asked == []
    assert "(nothing is fetched to look at a file)" in capsys.readouterr().err
