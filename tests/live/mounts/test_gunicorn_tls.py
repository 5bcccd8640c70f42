"""The ``ssl_context`` hook of gunicorn: a real handshake picks the certificate by name."""

from __future__ import annotations

import socket
import ssl

import pytest

from tests.support.openssl import self_signed

SERVED = """
    import os
    from plugmw import Gateway, Plugin

    class Chooser(Plugin):
        name = "chooser"

        def certificate(self, hello):
            if hello.server_name == "raises.example":
                raise ValueError("no certificate for you")
            if hello.server_name == "plugin.example":
                return os.environ["PAIRS"] + "/b.pem", os.environ["PAIRS"] + "/b.key"

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"hi"]

    pairs = os.environ["PAIRS"]
    listed = {"cert": pairs + "/b.pem", "key": pairs + "/b.key", "snis": ["b.example", "*.b.example"]}
    app = Gateway(app, {"certificates": [listed]}, plugins=[Chooser()])
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for name in "ab":
        self_signed(folder, f"{name}.pem", f"{name}.key", f"{name}.example")
    return folder


def handshake(server, pairs, name):
    """Return which certificate a client got that asked for ``name``, and the answer to a request."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.port), 15) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        found = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
        answer = b""
        while part := tls.recv(65536):
            answer += part
    names = [one for one in "ab" if found.strip() in (pairs / f"{one}.pem").read_text()]
    return names[0], answer.partition(b"\r\n\r\n")[2]


def start(gunicorn, pairs, config, *more, worker_class="sync"):
    args = ["--config", config, "--certfile", str(pairs / "a.pem"), "--keyfile", str(pairs / "a.key"), *more]
    return gunicorn(SERVED, worker_class=worker_class, args=args, env={"PAIRS": str(pairs)})


@pytest.mark.parametrize(
    ("worker_class", "more"), [("sync", []), ("gthread", ["--threads", "2"]), ("gevent", [])]
)
def test_the_name_of_a_handshake_picks_the_certificate(gunicorn, pairs, worker_class, more):
    server = start(gunicorn, pairs, "python:plugmw.mounts.gunicorn", *more, worker_class=worker_class)
    for name, certificate in (
        ("a.example", "a"),
        ("b.example", "b"),
        ("shop.b.example", "b"),
        ("plugin.example", "b"),
        ("raises.example", "a"),
        (None, "a"),
    ):
        assert handshake(server, pairs, name) == (certificate, b"hi")
    assert "chooser failed in certificate ('raises.example')" in server.log()
    assert "no certificate for you" in server.log()


def test_the_hook_comes_by_import_into_a_configuration_file(gunicorn, pairs, tmp_path):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("from plugmw.mounts.gunicorn import *\n")
    server = start(gunicorn, pairs, str(config), "--preload")
    assert handshake(server, pairs, "b.example") == ("b", b"hi")
    assert handshake(server, pairs, "other.example") == ("a", b"hi")
