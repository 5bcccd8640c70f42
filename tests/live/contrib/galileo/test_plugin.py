"""galileo: configuration, ALFs to a real collector, and through an app; at the end real gunicorn."""

from __future__ import annotations

import json

import requests

from tests.support.sinks import http_sink
from tests.unit.contrib.galileo.test_plugin import entries


# -- through an app -----------------------------------------------------------------------------------
def test_what_waits_is_sent_when_the_server_stops(gunicorn):
    with http_sink() as sink:
        server = gunicorn(
            f"""
            from plugmw import Gateway
            from plugmw.contrib.galileo.plugin import Galileo

            def app(environ, start_response):
                body = environ["wsgi.input"].read()
                start_response("200 OK", [("Content-Length", str(len(body)))])
                return [body]

            config = dict(service_token="a", host="127.0.0.1", port={sink.port}, https=False)
            app = Gateway(app, plugins=[Galileo(log_bodies=True, flush_timeout=1000, **config)])
            """,
            workers=2,
        )
        pieces = [b"one", b"two"]
        for number in range(10):
            # In chunks: the app must get the same bytes through the copy.
            answer = requests.post(f"{server.url}/{number}", data=iter(pieces), timeout=10)
            assert answer.content == b"onetwo"
        assert sink.got == []
        assert server.stop() == 0
        found = entries(sink, 10)
    assert {json.dumps(entry["request"]["postData"]["text"]) for entry in found} == {'"b25ldHdv"'}
    assert len({entry["request"]["url"] for entry in found}) == 10
