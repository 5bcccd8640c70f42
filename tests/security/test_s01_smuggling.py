"""S1: where a request ends is the server's to say; what plugins read, change or leave never moves it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
from email.utils import formatdate

import pytest

from plugmw import Gateway
from tests.support.wsgi import environ_of, serve


def head(path, framing=b"", body=b"", more=b""):
    """Return a POST up to its body, signed so that hmac-auth goes on to the body."""
    date = formatdate(usegmt=True)
    made = base64.b64encode(hmac.new(b"secret", f"date: {date}".encode(), "sha256").digest()).decode()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    lines = [f"POST /{path} HTTP/1.1", "Host: t", "X-Id: 1", f"Date: {date}", f"Digest: SHA-256={digest}"]
    lines += [f'Authorization: hmac username="alice", algorithm="hmac-sha256", headers="date", '
              f'signature="{made}"', "Content-Type: application/x-www-form-urlencoded", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + framing + more + b"\r\n"


#: Where a server hands such a length on, whoever reads the body refuses it, or counts it.
READERS = {
    "request-transformer": {"add": {"body": ["a:b"]}},
    "hmac-auth": {"validate_request_body": True},
    "key-auth": {"key_in_body": True},
    "request-size-limiting": {"require_content_length": True},
}


@pytest.mark.parametrize("length", ["+10", "0x1", "1_0", " 1", "1 ", "1,1", "\xb2", "\u0661", "9" * 5000])
@pytest.mark.parametrize("name", READERS)
def test_s1_a_length_that_is_more_than_digits_is_refused_by_whoever_reads_the_body(name, length):
    asked = []
    consumers = [{"username": "alice", "hmacauth_credentials": [{"username": "alice", "secret": "secret"}]}]
    app = Gateway(
        lambda environ, start_response: asked.append(environ) or [],
        {
            "store": "memory://",
            "consumers": consumers if name == "hmac-auth" else [],
            "plugins": [{"name": name, "config": READERS[name]}],
        },
    )
    lines = (line.partition(": ") for line in head("x").decode().split("\r\n")[2:] if line)
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, _, value in lines}
    headers["CONTENT_TYPE"] = headers.pop("HTTP_CONTENT_TYPE")
    environ = environ_of(
        method="POST", **headers, CONTENT_LENGTH=length, **{"wsgi.input": io.BytesIO(b"a=b" * 10)}
    )
    answer = serve(app, environ)
    assert answer.status.startswith("411 " if name == "request-size-limiting" else "400 ")
    assert asked == []
