"""Asking a server for a bundle: addresses, deadline, tries, redirects; against a real HTTP server."""

import itertools
import ssl
import threading

import pytest

from plugmw.bundles.download import Address, Download, Found, Validators, check_name, shown
from plugmw.errors import LoadError
from tests.support.bundles import shelf
from tests.support.openssl import self_signed
from tests.support.stub import Told, stub


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def get(server, pauses):
    """Ask the server for a path; returns what came of it."""

    def get_(path="a.zip", known=Validators(), largest=1000, deadline=20.0, base=None):
        ask = Download(largest=largest, deadline=deadline, sleep=pauses.append)
        return ask(Address(base or server.url).of(path), known)

    return get_


def problem(get, *arguments, **named):
    with pytest.raises(LoadError) as error:
        get(*arguments, **named)
    return error.value.what


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://h:8000/abc", "http://h:8000/abc/a%20b/c.zip"),
        ("https://h/", "https://h/a%20b/c.zip"),
        ("https://u:p@h/x/?sig=s", "https://u:p@h/x/a%20b/c.zip?sig=s"),
        ("file:///var/b", "file:///var/b/a%20b/c.zip"),
    ],
)
def test_the_url_is_the_base_and_the_name(base, url):
    assert Address(base).of("a b/c.zip") == url


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../x",
        "a/../x",
        "//host/x",
        "/x",
        "x?y",
        "x#y",
        "u@h",
        "http://h/x",
        "a\\b",
        "%2e%2e/x",
        "a\nb",
        "a//b",
        "./x",
    ],
)
def test_s14_a_name_that_would_steer_the_url_is_refused(name):
    with pytest.raises(LoadError, match=r"^bundle .* is no name, expected"):
        Address("http://h/b").of(name)
    with pytest.raises(LoadError):
        check_name(name)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("ftp://h/", "bundle_base_url: Unknown URL scheme: 'ftp', expected http, https or file"),
        ("h/b", "bundle_base_url: Unknown URL scheme: ''"),
        ("http:///b", "bundle_base_url: got 'http:///b'"),
        ("http://h/#x", "bundle_base_url: got 'http://h/'"),
        ("http://u:secret@h:0/?s=secret", "bundle_base_url: got 'http://h:0/'"),
        ("file://host/b", "bundle_base_url: got 'file://host/b'"),
        ("http://h:x/", "bundle_base_url: is no URL"),
        ("http://[::1/", "bundle_base_url: is no URL"),
    ],
)
def test_a_base_that_cannot_be_asked_is_said(base, message):
    with pytest.raises(LoadError) as error:
        Address(base).of("a.zip")
    assert str(error.value).startswith(message)


def test_secrets_of_a_url_are_not_shown():
    assert shown("https://u:p@h:1/a?sig=s#f") == "https://h:1/a"


def test_the_answer_comes_with_its_validators_and_unpacked_by_nobody(get, server):
    fields = [("ETag", '"1"'), ("Last-Modified", "then"), ("Content-Encoding", "gzip")]
    server.has["a.zip"] = Told(200, fields, b"\x1f\x8b data")
    assert get() == Found(b"\x1f\x8b data", Validators('"1"', "then"))
    assert server.asked[0].get("Accept-Encoding") == "identity"


def test_304_answers_a_question_with_validators_only(get, server):
    server.has["a.zip"] = 304
    assert get(known=Validators('"1"', "then")) is None
    asked = server.asked[0]
    assert (asked.get("If-None-Match"), asked.get("If-Modified-Since")) == ('"1"', "then")
    assert problem(get) == "answered 304"


@pytest.mark.parametrize("status", [201, 204, 206, 404, 500])
def test_only_200_is_an_answer(get, server, status):
    server.has["a.zip"] = status
    assert problem(get) == f"answered {status}"


def test_five_tries_with_pauses_that_double(get, server, pauses):
    server.has["a.zip"] = 500
    assert problem(get) == "answered 500"
    assert len(server.asked) == 5
    assert pauses == [0.5, 1, 2, 4]


def test_pauses_are_five_seconds_at_most(server, pauses):
    with pytest.raises(LoadError):
        Download(largest=9, sleep=pauses.append)(f"{server.url}/a.zip", Validators(), tries=7)
    assert pauses == [0.5, 1, 2, 4, 5, 5]


def test_no_try_begins_after_twenty_seconds(server):
    seconds = itertools.count(0, 9)
    ask = Download(largest=9, sleep=lambda pause: None, clock=lambda: float(next(seconds)))
    with pytest.raises(LoadError):
        ask(f"{server.url}/a.zip", Validators())
    assert len(server.asked) == 3


def test_a_try_that_succeeds_ends_it(server, pauses):
    server.has["a.zip"] = 503

    def pause(seconds):
        pauses.append(seconds)
        server.has["a.zip"] = b"now"

    ask = Download(largest=9, sleep=pause)
    assert ask(f"{server.url}/a.zip", Validators()).data == b"now"
    assert pauses == [0.5]


@pytest.mark.slow
def test_a_server_that_says_nothing_is_left_at_the_deadline(get, server):
    server.has["a.zip"] = None
    assert problem(get, deadline=0.05) == "no whole answer within 0.05 s"


@pytest.mark.slow
def test_a_server_that_sends_byte_after_byte_is_left_at_the_deadline():
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip():
        while not over.is_set():
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                peer.recv(65536)
                try:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                    while not over.wait(0.01):
                        peer.sendall(b"x" * 70)
                except OSError:
                    pass

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        ask = Download(largest=1_000_000, deadline=0.1, sleep=lambda pause: None)
        with pytest.raises(LoadError, match=r"no whole answer within 0\.1 s"):
            ask(f"http://127.0.0.1:{listener.getsockname()[1]}/a.zip", Validators())
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_body_cut_short_is_no_answer(get, server):
    server.has["a.zip"] = Told(200, [], b"half", length=8)
    assert "IncompleteRead" in problem(get) or "ended after 4 of 8 bytes" in problem(get)


def test_s12_a_long_answer_is_not_read_to_its_end(get, server):
    server.has["a.zip"] = b"x" * 101
    assert problem(get, largest=100) == "has over 100 bytes"


def test_a_server_that_is_down_is_said_without_its_secrets(get, server):
    with stub(lambda asked: None) as other:
        port = other.port
    text = problem(get, base=f"http://user:secret@127.0.0.1:{port}/?sig=secret")
    assert text == "cannot be fetched: Connection refused"


def test_a_redirect_on_the_server_is_followed(get, server):
    server.has["a.zip"] = Told(302, [("Location", "/b/b.zip")])
    server.has["b/b.zip"] = b"B"
    assert get().data == b"B"


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1/a.zip", "https://{host}/a.zip", "//evil/a.zip", "file:///etc/passwd"]
)
def test_s14_a_redirect_elsewhere_is_refused(get, server, location):
    server.has["a.zip"] = Told(302, [("Location", location.format(host=server.url[7:]))])
    assert problem(get).startswith("redirects to ")


def test_a_redirect_in_a_circle_ends(get, server):
    server.has["a.zip"] = Told(307, [("Location", "/a.zip")])
    assert problem(get) == "redirects over 5 times"


def test_s14_proxies_and_passwords_of_the_environment_do_not_count(get, server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.has["a.zip"] = b"A"
    assert get().data == b"A"
    assert server.asked[0].get("Authorization") is None


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    self_signed(tmp_path, "c.pem", "k.pem", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    with stub(lambda asked: Told(200, [], b"A"), context) as server:
        url = f"https://localhost:{server.port}/a.zip"
        with pytest.raises(LoadError, match=r"cannot be fetched: .SSL: CERTIFICATE_VERIFY_FAILED"):
            Download(largest=9, sleep=lambda pause: None)(url, Validators())
        assert server.asked == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_can_be_taken_on_trust(tmp_path):
    self_signed(tmp_path, "c.pem", "k.pem", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    with stub(lambda asked: Told(200, [], b"A"), context) as server:
        ask = Download(verify=False, largest=9, sleep=lambda pause: None)
        assert ask(f"https://localhost:{server.port}/a.zip", Validators()).data == b"A"


def test_a_folder_can_be_the_server(tmp_path, pauses):
    (tmp_path / "a b.zip").write_bytes(b"A")
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "large.zip").write_bytes(b"x" * 10)
    ask = Download(largest=9, sleep=pauses.append)
    base = Address(tmp_path.as_uri())
    assert ask(base.of("a b.zip"), Validators()) == Found(b"A")
    for name, what in (
        ("gone.zip", "is no file"),
        ("folder.zip", "is no file"),
        ("large.zip", "has over 9 bytes"),
    ):
        with pytest.raises(LoadError, match=what):
            ask(base.of(name), Validators())


def test_a_file_that_cannot_be_read_is_said(tmp_path, pauses, monkeypatch):
    (tmp_path / "a.zip").write_bytes(b"A")

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(LoadError, match="cannot be read: Permission denied"):
        Download(largest=9, sleep=pauses.append)(f"{tmp_path.as_uri()}/a.zip", Validators())


def test_the_shelf_of_the_tests_knows_what_has_not_changed():
    with shelf() as server:
        server.has["a"] = b"A"
        ask = Download(largest=9)
        found = ask(f"{server.url}/a", Validators())
        assert ask(f"{server.url}/a", found.validators) is None


def test_a_body_that_is_shorter_than_was_said_is_no_answer():
    """urllib3 before 2 did not count."""
    from types import SimpleNamespace

    raw = SimpleNamespace(stream=lambda step, decode_content: [b"half"])
    response = SimpleNamespace(status_code=200, headers={"Content-Length": "8"}, raw=raw)
    with pytest.raises(LoadError, match="ended after 4 of 8 bytes"):
        Download(largest=9)._answer(response, "http://h/a", Validators(), threading.Event())
