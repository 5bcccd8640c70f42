"""The client that asks backends: a real nginx for odd answers."""

from __future__ import annotations

import subprocess
import threading

import pytest

from plugmw.dialects.krakend.failures import BackendError
from plugmw.dialects.krakend.http_client import HTTPClient
from tests.support.servers import require_program
from tests.support.sinks import closed_port
from tests.support.wsgi import serve
from tests.unit.dialects.krakend.test_http_client import asking
from tests.unit.dialects.krakend.test_http_client import client as client

NGINX = """
user root; daemon off; pid nginx.pid; error_log error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp;
  uwsgi_temp_path tmp; scgi_temp_path tmp;
  server {{
    listen 127.0.0.1:{port};
    root {root};
    location /packed/ {{ alias {root}/; gzip on; gzip_min_length 1; gzip_types *; }}
    location /moved {{ return 302 /text; }}
    location /loop {{ return 301 /loop; }}
    location /gone {{ return 444; }}
    location /none {{ return 204; }}
    location /slow/ {{ alias {root}/; limit_rate 1; }}
    location /refused {{ return 403 "no"; }}
    location /small {{ client_max_body_size 1; proxy_pass http://127.0.0.1:{port}/text; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory):
    """The URL of an nginx on loopback."""
    program, folder, port = require_program("nginx"), tmp_path_factory.mktemp("nginx"), closed_port()
    folder.chmod(0o755)
    (folder / "text").write_bytes(b"text" * 100)
    (folder / "nginx.conf").write_text(NGINX.format(port=port, root=folder))
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")])
    client, ready = HTTPClient(), threading.Event()
    for _ in range(500):
        if not isinstance(serve(client, asking(f"http://127.0.0.1:{port}/text")).raised, BackendError):
            ready.set()
            break
        assert process.poll() is None
        threading.Event().wait(0.02)
    assert ready.is_set()
    client.close()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/text", "200 OK", b"text" * 100),
        ("/packed/text", "200 OK", b"text" * 100),
        ("/moved", "200 OK", b"text" * 100),
        ("/none", "204 No Content", b""),
        ("/refused", "403 Forbidden", b"no"),
    ],
)
def test_nginx_is_understood(client, nginx, path, status, body):
    result = serve(client, asking(nginx + path))
    assert (result.status, result.body, result.raised) == (status, body, None)


@pytest.mark.parametrize(
    ("path", "error", "seconds"),
    [
        ("/loop", "stopped after 10 redirects", 10.0),
        ("/gone", "invalid response", 10.0),
        ("/slow/text", "context deadline exceeded", 0.5),
    ],
)
def test_nginx_gives_no_good_answer(client, nginx, path, error, seconds):
    assert str(serve(client, asking(nginx + path, seconds=seconds)).raised) == error


def test_a_server_that_refuses_a_body_before_it_has_read_it_is_heard(client, nginx):
    result = serve(client, asking(nginx + "/small", "POST", body=b"x" * 1_000_000))
    assert result.status.startswith("413")
