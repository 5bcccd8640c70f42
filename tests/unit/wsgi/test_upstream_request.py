"""upstream_request: one object per request, with nothing of the client's in its text."""

from __future__ import annotations

from plugmw.wsgi import keys
from plugmw.wsgi.upstream_request import UpstreamRequest


def test_a_request_has_one_that_says_nothing_at_first():
    environ = {}
    told = UpstreamRequest.of(environ)
    assert UpstreamRequest.of(environ) is told is environ[keys.UPSTREAM]
    assert (told.host, told.port, told.retries, told.buffer, told.status, told.tries) == (
        *(None, None, None),
        *(False, "", []),
    )
    assert UpstreamRequest.of({}) is not told


def test_its_text_does_not_show_the_path_and_the_clients_headers():
    text = repr(UpstreamRequest(path="/s3cret", named={"HTTP_X_KEY": "s3cret"}, host="a.example"))
    assert "a.example" in text
    assert "s3cret" not in text
