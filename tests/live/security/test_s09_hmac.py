"""S9: a signature covers what it must, over what the app reads, for a short time, and once."""

from __future__ import annotations

import gzip
import hashlib
import json

from tests.security.gates import HMAC_SECRET, digest_line, http_date, signed
from tests.security.test_s09_hmac import BODY
from tests.support import raw

TARGET = "/hmac/pay?a=%41&b"


def sent(gate, *lines, body=BODY, target=TARGET, path=TARGET, secret=HMAC_SECRET, more=()):
    """Send a request whose signature covers ``target`` and ``lines``."""
    authorization = signed(f"post {target}", *lines, secret=secret)
    return gate.ask(path, *lines, authorization, *more, method="POST", body=body)


def test_s9_what_is_signed_is_what_counts_on_every_server(gate):
    date, digest = f"Date: {http_date()}", digest_line(BODY)
    good = sent(gate, date, digest)
    assert good.status == 200
    assert json.loads(good.body)["body"] == hashlib.sha256(BODY).hexdigest()
    refused = {
        "another secret": sent(gate, date, digest, secret="other"),
        "another path": sent(gate, date, digest, target="/hmac/other?a=%41&b"),
        "another spelling of the path": sent(gate, date, digest, target="/hmac/pay?a=A&b"),
        "another query": sent(gate, date, digest, target="/hmac/pay?a=%41"),
        "another method": gate.ask(TARGET, date, digest, signed(f"post {TARGET}", date, digest), body=BODY),
        "another body": sent(gate, date, digest, body=b'{"amount": 99}'),
        "no body": sent(gate, date, digest, body=b""),
        "another body, its digest added": sent(gate, date, digest, body=b"x", more=(digest_line(b"x"),)),
        "another body, its digest not signed": gate.ask(
            TARGET, date, digest_line(b"x"), signed(f"post {TARGET}", date), method="POST", body=b"x"
        ),
        "date not signed": gate.ask(
            TARGET, date, digest, signed(f"post {TARGET}", digest), method="POST", body=BODY
        ),
        "target not signed": gate.ask(
            TARGET, date, digest, signed("", date, digest), method="POST", body=BODY
        ),
        "too old": sent(gate, f"Date: {http_date(-400)}", digest),
        "too far in the future": sent(gate, f"Date: {http_date(400)}", digest),
        "old, and a new X-Date added": sent(
            gate, f"Date: {http_date(-400)}", digest, more=(f"X-Date: {http_date()}",)
        ),
        "two dates": sent(gate, date, digest, more=(f"Date: {http_date(1)}",)),
        "weaker algorithm": gate.ask(
            TARGET,
            date,
            digest,
            signed(f"post {TARGET}", date, digest).replace("hmac-sha256", "hmac-sha1"),
            method="POST",
            body=BODY,
        ),
        "two signatures": sent(gate, date, digest, more=(signed(f"post {TARGET}", date, digest),)),
    }
    assert {name: answer.status for name, answer in refused.items() if answer.status != 401} == {}
    assert "Traceback" not in gate.server.log()


def test_s9_the_digest_is_of_the_bytes_the_app_reads_however_they_are_framed(gate):
    date = f"Date: {http_date()}"
    zipped = gzip.compress(BODY * 100)
    for body, more in ((BODY, ()), (zipped, ("Content-Encoding: gzip",))):
        for chunked in (False, True):
            lines = (date, digest_line(body), signed(f"post {TARGET}", date, digest_line(body)), *more)
            if chunked:
                head = raw.request(TARGET, *lines, "Transfer-Encoding: chunked", method="POST")
                parts = (body[:5], body[5:], b"")
                data = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
                answer = raw.exchange(gate.server.port, head + data)
            else:
                answer = gate.ask(TARGET, *lines, method="POST", body=body)
            assert answer.status == 200, (more, chunked)
            assert json.loads(answer.body)["body"] == hashlib.sha256(body).hexdigest()


def test_s9_strict_takes_a_signature_once_and_without_it_the_window_is_all_there_is(gate):
    date, digest = f"Date: {http_date(1)}", digest_line(BODY)
    once = signed("post /strict", date, digest)
    answers = [gate.ask("/strict", date, digest, once, method="POST", body=BODY).status for _ in range(3)]
    assert answers == [200, 401, 401]
    # The same signature in another spelling of the header is the same signature.
    again = once.replace("hmac username", "Hmac  username").replace(", algorithm", ",algorithm")
    assert gate.ask("/strict", date, digest, again, method="POST", body=BODY).status == 401
    # With an unsigned header changed too.
    assert gate.ask("/strict", date, digest, once, "X-New: 1", method="POST", body=BODY).status == 401
    assert sent(gate, date, digest).status == sent(gate, date, digest).status == 200
