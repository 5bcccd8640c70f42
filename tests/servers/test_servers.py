"""What an app sends reaches the client byte for byte as it does without plugmw, under every server.

Each server is asked for every app bare and under each kind of chain. Compared is everything that came over
the socket but the date.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import re
import socket
import struct
from urllib.parse import quote

import pytest

from tests.servers.served import ANSWERS, BUNDLED, DATA, FILTERED, KINDS, SAME_FRAMING, SPLITTING
from tests.servers.servers import NAMES, WEBSOCKETS
from tests.support import raw
from tests.support.length import by_length
from tests.support.servers import ROOT
from tests.support.waiting import until
from tests.support.wsgi import BAD

MIB = by_length(4, 1024)
FRAMING = ("content-length", "transfer-encoding", "date", "connection", "keep-alive")
#: Chains that note when their log phase runs.
LOGGING = ["log", "timed", "wrap", *FILTERED]
WHOLE = [name for name in ANSWERS if name not in BAD]
#: Answers to HEAD that differ in how they are made.
TO_HEAD = ["list", "mindful of HEAD", "stream", "late start", "empty list", "whole file", "204", "cookies"]
#: gunicorn and others keep headers of an answer that was taken back, which a chain that holds it never sends.
TAKEN_BACK = "exc_info before the headers"
#: What servers make of an app that is right: less than under a chain that has bytes of its own to send.
WRONG_ALONE = {
    # It sends the file from its beginning, whatever its position.
    "uwsgi": ["end of a file"],
    # It answers 500 to an app that writes and returns an empty list.
    "bjoern": ["write", "one write", "write and iterate"],
}
#: Servers that send a header with a line end in it.
NOT_LOOKING = ["wsgiref", "werkzeug", "django", "cheroot", "bjoern", "uwsgi"]
#: What an app does wrong, where the server's answer does not depend on what plugmw has sent by then.
FAILING = ["raises at call", "raises after start_response", "raises before a late start", "raises midstream"]


def ask(server, kind, name, *headers, method="GET", query="", body=b""):
    path = f"/{kind}/{quote(name)}" + (f"?{query}" if query else "")
    return raw.get(server.port, path, *headers, method=method, body=body)


def bare(server, *arguments, **options):
    """Return the answer of the app alone, asked for once."""
    key = (*arguments, *map(str, options.values()))
    if key not in server.bare:
        server.bare[key] = ask(server, "bare", *arguments, **options)
    return server.bare[key]


def differs(server, kind, *arguments, **options):
    """Return what came under a chain and of the bare app unless they are alike; else None.

    Alike is every header and every byte of the body, and where a chain looks at bodies all but the framing.
    """
    alone, under = bare(server, *arguments, **options), ask(server, kind, *arguments, **options)
    head = options["method"] == "HEAD"
    if kind in SAME_FRAMING:
        same = observed(under, ("date",)) == observed(alone, ("date",))
    else:
        same = observed(under, FRAMING, head) == observed(alone, FRAMING, head)
    same = same and (head or under.complete >= alone.complete)
    return None if same else (arguments, options, under.raw[:400], alone.raw[:400])


def observed(answer, without, head=False):
    """Return status, headers and body; servers cut chunks as they come, so that one may be two."""
    headers = [item for item in answer.headers if item[0] not in without]
    return answer.status_line, headers, b"" if head else answer.body


def test_the_readme_names_every_server():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    words = [name.partition("-")[2] or name for name in NAMES]
    assert [word for word in words if word not in readme.replace("gevent's pywsgi", "gevent_pywsgi")] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_the_bare_apps(server, kind):
    left = [*WRONG_ALONE.get(server.name, ()), *(() if kind in SAME_FRAMING else (TAKEN_BACK,))]
    names = [name for name in WHOLE if name not in left]
    asked = [(name, "Range: bytes=5-9004") if name == "part" else (name,) for name in names]
    each = [differs(server, kind, *one, method="GET") for one in asked]
    each += [differs(server, kind, name, method="HEAD") for name in TO_HEAD]
    assert [one for one in each if one] == []


@pytest.mark.parametrize("kind", ["none", *LOGGING, *BUNDLED])
def test_a_client_of_http_1_0_and_one_that_sends_a_body_are_answered_too(server, kind):
    for name in ("plain list", "stream", "late start", "write", "whole file"):
        if name not in WRONG_ALONE.get(server.name, ()):
            request = raw.request(f"/{kind}/{quote(name)}", version="1.0", close=False)
            assert raw.exchange(server.port, request).body == bare(server, name, method="GET").body, name
    body = DATA[:100_000]
    assert ask(server, kind, "echo", method="POST", body=body).body == body


@pytest.mark.parametrize("kind", KINDS)
def test_answers_follow_each_other_on_one_connection(server, kind):
    """What is framed wrongly is read as the next answer."""
    names = [
        ("GET", "list"),
        ("HEAD", "mindful of HEAD"),
        ("GET", "204"),
        ("GET", "304"),
        ("GET", "one chunk"),
    ]

    def asked(prefix):
        requests = [
            raw.request(f"/{prefix}/{quote(name)}", method=method, close=False) for method, name in names
        ]
        return raw.exchange(server.port, b"".join(requests) + raw.request(f"/{prefix}/cookies"))

    if "in a row" not in server.bare:
        server.bare["in a row"] = parsed(asked("bare"), names)
    answers, alone = parsed(asked(kind), names), server.bare["in a row"]
    # Without the length that a filter takes away, a server may close the connection after an answer.
    assert answers == alone if kind in SAME_FRAMING else answers and answers == alone[: len(answers)]


def parsed(answer, names):
    """Return status and body of each of the answers that came one after another."""
    stream = Stays(answer.raw)
    answers = []
    for method, _ in [*names, ("GET", "cookies")]:
        if stream.tell() == len(answer.raw):
            break
        response = http.client.HTTPResponse(stream, method=method)
        response.begin()
        answers.append((response.status, response.read()))
    assert stream.read() == b""
    return answers


class Stays(io.BytesIO):
    """All that a socket brings, for a reader that closes it after each answer."""

    def makefile(self, mode):
        return self

    def close(self):
        pass


@pytest.mark.parametrize("kind", ["none", "log", "timed"])
def test_an_app_that_fails_is_answered_as_it_is_alone(server, kind):
    different = []
    for name in FAILING:
        under, alone = ask(server, kind, name), bare(server, name, method="GET")
        if observed(under, ("date",)) != observed(alone, ("date",)) or under.complete != alone.complete:
            different.append((name, under.raw[:400], alone.raw[:400]))
    assert different == []


@pytest.mark.parametrize("kind", ["none", "header", "log", "response"])
def test_a_header_that_an_app_splits_is_refused_where_the_server_refuses_it(server, kind):
    """The app's own headers are not looked at; SECURITY.md (S19) names the servers that do not either."""
    for number, name in enumerate(SPLITTING):
        alone = splits(bare(server, "splitting", method="GET", query=str(number)))
        assert splits(ask(server, kind, "splitting", query=str(number))) == alone, name
        if "NUL" not in name:
            assert alone == (server.name in NOT_LOOKING), name


def splits(answer):
    return re.search(rb"[\r\n]X-Split: 1", answer.raw.partition(b"\r\n\r\n")[0]) is not None


def test_the_security_page_names_the_servers_that_do_not_look():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith("| S19 |")]
    words = {"django": "Django", "werkzeug": "werkzeug", "uwsgi": "uWSGI"}
    assert [name for name in NOT_LOOKING if words.get(name, name) not in line] == []


def test_an_answer_of_a_plugin_is_whole_and_logged(server):
    answer = ask(server, "exit", "list", query="exit")
    assert (answer.status, answer.body, answer.complete) == (403, b"no entry", True)
    assert answer.header("content-length") == "8"
    noted(server, "exit", ["log"])


@pytest.mark.parametrize("kind", ["bare", "none", "log", "timed", "body", "logs"])
def test_the_first_event_of_a_stream_is_there_before_the_second_is_made(server, kind):
    gate = f"gate-{kind}"
    with raw.connect(server.port) as client:
        client.sendall(raw.request(f"/{kind}/events?{gate}"))
        first = raw.read_until(client, b"data: one\n\n")
        (server.folder / gate).touch()
        answer = raw.Answer(first + raw.read_all(client))
    assert (answer.body, answer.complete) == (b"data: one\n\ndata: two\n\n", True)


@pytest.mark.parametrize("kind", ["log", "timed", "body"])
def test_a_client_that_goes_away_ends_the_app_and_is_logged_once(server, kind):
    with raw.connect(server.port) as client:
        client.sendall(raw.request(f"/{kind}/endless?abort-{kind}"))
        assert client.recv(100_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    noted(server, f"abort-{kind}", ["close", "log"])


def noted(server, query, expected):
    """Wait for the last note of a request; fail the test unless these are all, in order."""
    notes = []

    def ended():
        notes.extend(json.loads(ask(server, "bare", "notes", query=query).body))
        return expected[-1] in notes

    until(ended)
    assert notes == expected


@pytest.mark.parametrize("kind", ["none", "log", "timed", "body", "logs"])
def test_a_large_body_comes_whole(server, kind):
    received, digest = fetched(server, kind)
    assert received == MIB << 20
    if "digest" not in server.__dict__:
        server.digest = fetched(server, "bare")[1]
    assert digest == server.digest


def fetched(server, kind):
    """Return the length and the hash of a body that is not kept."""
    digest, received = hashlib.sha256(), 0
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        client.request("GET", f"/{kind}/large?{MIB}")
        response = client.getresponse()
        while part := response.read(1 << 18):
            digest.update(part)
            received += len(part)
    finally:
        client.close()
    return received, digest.hexdigest()


@pytest.mark.parametrize("kind", ["bare", "none", "header", "log", "timed", "body", "logs"])
@pytest.mark.parametrize("server", WEBSOCKETS, indirect=True)
def test_a_websocket_goes_both_ways(server, kind):
    query = f"websocket-{kind}"
    with raw.connect(server.port) as client:
        client.sendall(
            raw.request(
                f"/{kind}/websocket?{query}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                close=False,
            )
        )
        head = raw.read_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        mask = b"\1\2\3\4"
        text = bytes(byte ^ mask[place % 4] for place, byte in enumerate(b"hello"))
        client.sendall(b"\x81" + bytes([0x80 | 5]) + mask + text)
        assert raw.read_until(client, b"HELLO").startswith(b"\x81\x05HELLO")
    noted(server, query, ["close", "log"] if kind in LOGGING else ["close"])
