"""S21: of all secrets that a gateway is told none is in a log, an error, an entry that is sent, or a repr."""

from __future__ import annotations

import gc
import hmac
import json
import socket
import threading
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from io import BytesIO
from urllib.parse import unquote

import pytest

from plugmw import Gateway
from tests.security.secrets_planted import document, requests
from tests.security.test_s21_secrets import app_of, printed, written
from tests.security.test_s21_secrets import planted as planted
from tests.security.test_s21_secrets import records as records
from tests.support import raw
from tests.support.certificates import certificates
from tests.support.sinks import closed_port, tcp_sink, udp_sink, unix_sink
from tests.support.stub import Told, stub
from tests.support.waiting import until
from tests.support.wsgi import environ_of, serve


def signed(secret):
    date = formatdate(usegmt=True)
    text = f"date: {date}\n@request-target: get /hmac-auth".encode()
    made = b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()
    value = (
        f'hmac username="alice", algorithm="hmac-sha256", headers="date @request-target", signature="{made}"'
    )
    return {"Date": date, "Authorization": value}


@contextmanager
def rude_redis():
    """A server that answers every command with an error that repeats it, as for commands it does not know."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = threading.Event()

    def answer(client):
        with client:
            while data := client.recv(65536):
                words = data.decode("latin-1").replace("\r\n", " ")
                client.sendall(f"-ERR unknown command, with args beginning with: {words}\r\n".encode())

    def accept():
        listener.settimeout(0.05)
        while not running.is_set():
            try:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            except TimeoutError:
                pass

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        running.set()
        thread.join()
        listener.close()


@pytest.fixture
def sinks(tmp_path, planted):
    """Sinks that answer errors, which repeat what they were sent, and keep what they got."""

    def rude(asked):
        repeated = json.dumps([asked.headers, asked.body.decode("latin-1")[:40_000]])
        return Told(500, [("X-Told", repeated[:4000])], repeated.encode())

    with ExitStack() as stack:
        made = {name: stack.enter_context(stub(rude)) for name in ("http-log", "galileo", "zipkin", "error")}
        made["tcp"] = stack.enter_context(tcp_sink())
        made["udp"] = stack.enter_context(udp_sink())
        made["syslog"] = stack.enter_context(unix_sink(tmp_path / "log"))
        files = certificates(tmp_path)
        key = files.key.read_text(encoding="utf-8")
        planted["tls-key"] = key.splitlines()[1][8:40]
        yield (
            made,
            {
                "certificate": files.certificate.read_text(encoding="utf-8"),
                "key": key,
                **{name: sink.port for name, sink in made.items() if name != "syslog"},
                "syslog": tmp_path / "log",
                "redis": stack.enter_context(rude_redis()),
                "closed": closed_port(),
            },
        )


def got_by(sink):
    return [item.body for item in sink.asked] if hasattr(sink, "asked") else sink.got


def ask(gateway, method, target, headers, body):
    path, _, query = target.partition("?")
    made = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    kind = made.pop("HTTP_CONTENT_TYPE", "")
    return serve(
        gateway,
        environ_of(
            unquote(path),
            method,
            **{**made, "QUERY_STRING": query, "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))},
            **{"wsgi.input": BytesIO(body), "wsgi.url_scheme": "https", "RAW_URI": target},
        ),
    )


def told(sink, name, planted):
    """Return what a sink got as text, without the token that belongs to the sink itself."""
    own = {"galileo": planted["galileo-token"], "udp": planted["loggly-token"]}.get(name, "\0")
    return b"\n".join(got_by(sink)).decode("latin-1").replace(own, "")


# -- in this process, with sinks that answer errors ---------------------------------------------------


@pytest.mark.parametrize("store", ["memory", "redis"])
def test_s21_a_run_of_good_and_failing_requests_tells_no_secret(tmp_path, planted, sinks, records, store):
    got, ports = sinks
    url = (
        "memory://"
        if store == "memory"
        else f"redis://:{planted['store-password']}@127.0.0.1:{ports['redis']}/0"
    )
    path = written(tmp_path, document(planted, ports, tmp_path, url))
    gateway = Gateway(app_of(planted), str(path), reload=False)
    statuses, bodies = [], []
    for method, target, headers, body in requests(planted, signed):
        answer = ask(gateway, method, target, headers, body)
        code = int(answer.status[:3] or 0)
        statuses.append(code)
        if "access_token" in answer.body.decode("latin-1"):
            # Given to who may have it; a secret from now on.
            made = json.loads(answer.body)
            planted |= {
                f"{len(planted)}-{name}": made[name]
                for name in ("access_token", "refresh_token")
                if name in made
            }
            for access in ({"Authorization": f"Bearer {made['access_token']}"}, {}):
                query = "" if access else f"?access_token={made['access_token']}"
                statuses.append(int(ask(gateway, "GET", f"/oauth2{query}", access, b"").status[:3]))
        elif b"redirect_uri" not in answer.body and not (target.startswith(("/azure", "/lambda"))):
            bodies.append(answer.body.decode("latin-1"))
            bodies += [f"{n}: {v}" for n, v in answer.headers if n.lower() not in ("set-cookie",)]
    gateway.reload()
    entries = (tmp_path / "requests.log").read_text(encoding="utf-8")
    count = len(entries.splitlines())
    until(lambda: len(got["http-log"].asked) >= count // 2)
    shown = show_all(gateway)
    gateway.stop()
    # The run was one: it had answers of every kind, and every sink got entries.
    assert {200, 401, 403, 500, 503} <= set(statuses), statuses
    assert count >= len(statuses) - 5
    assert all(got_by(sink) for sink in got.values()), {name: len(got_by(sink)) for name, sink in got.items()}
    places = {"log": "\n".join(records), "answers": "\n".join(bodies), "file-log": entries, "repr": shown}
    places |= {name: told(sink, name, planted) for name, sink in got.items() if name != "error"}
    assert len(planted) >= 30
    assert {name: planted.found_in(text) for name, text in places.items() if planted.found_in(text)} == {}


def show_all(gateway):
    """Return the reprs of everything of plugmw that the gateway is made of."""
    seen, line, texts = set(), [gateway, gateway.plan, *gateway.entries, *gateway.plan.routes], []
    while line:
        item = line.pop()
        if id(item) in seen or isinstance(item, type):
            continue
        seen.add(id(item))
        ours = type(item).__module__.partition(".")[0] == "plugmw"
        if ours:
            texts += [repr(item), str(item)]
        if ours or isinstance(item, (dict, list, tuple, set, frozenset)):
            line += [one for one in gc.get_referents(item) if not callable(one) or hasattr(one, "__dict__")]
    return "\n".join(texts)


def test_s21_the_commands_print_no_secret(tmp_path, planted, sinks, capsys, records):
    _, ports = sinks
    url = f"redis://:{planted['store-password']}@127.0.0.1:{ports['redis']}/0"
    path = written(tmp_path, document(planted, ports, tmp_path, url))
    texts = {}
    for arguments in (
        ["check"],
        ["check", "--json"],
        ["show"],
        ["show", "--json"],
        ["show", "--route", "limited"],
    ):
        status, texts[" ".join(arguments)] = printed(capsys, arguments[0], path, *arguments[1:])
        assert status == 0, texts
    secret = planted["key-header"]
    for target, *more in (
        ("/key-auth", "-H", f"apikey: {secret}"),
        ("/acl", "--json", "-H", f"apikey: {secret}"),
        (f"/key-auth?apikey={planted['key-query']}", "--json"),
        ("/lambda", "-H", f"Authorization: Bearer {secret}"),
        ("/limited", "--json"),
    ):
        status, text = printed(capsys, "explain", path, "GET", target, *more)
        # What was asked for is repeated to whoever asked.
        texts[f"explain {target}"] = text.replace(target, "")
        assert status == 0, text
    texts["log"] = "\n".join(records)
    assert {name: planted.found_in(text) for name, text in texts.items() if planted.found_in(text)} == {}


# -- on servers ------------------------------------------------------------------------------------

SERVED = """
import logging
logging.basicConfig(level=logging.DEBUG)
from plugmw import Gateway

def app(environ, start_response):
    start_response("200 OK", [("Set-Cookie", {cookie!r})])
    return [b"hello"]

app = Gateway(app, {path!r}, reload=False)
"""


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_s21_a_server_that_logs_everything_logs_no_secret(tmp_path, planted, sinks, gunicorn, worker_class):
    _, ports = sinks
    path = written(tmp_path, document(planted, ports, tmp_path))
    server = gunicorn(
        SERVED.format(cookie=f"session={planted['set-cookie']}", path=str(path)),
        worker_class=worker_class,
        args=["--log-level", "debug", "--threads", "2" if worker_class == "gthread" else "1"],
        env={name: planted[kind] for name, kind in (
            ("PLANTED_FROM_ENV", "from-env"), ("PLANTED_FROM_ENV_REFERENCE", "from-env-reference"))},
    )  # fmt: skip
    statuses = []
    for method, target, headers, body in requests(planted, signed):
        lines = [f"{name}: {value}" for name, value in headers.items()]
        answer = raw.get(server.port, target, *lines, method=method, body=body[: 64 * 1024])
        statuses.append(answer.status)
        if method == "GET" and "lambda" not in target:
            shown = answer.raw.decode("latin-1").replace(planted["set-cookie"], "")
            assert planted.found_in(shown) == set(), target
    server.stop()
    log = server.log()
    assert {200, 401, 403, 500} <= set(statuses)
    assert "DEBUG" in log
    assert "Traceback" in log
    assert planted.found_in(log) == set()
