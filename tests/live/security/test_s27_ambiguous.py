"""S27: of credentials that contradict each other none counts, in whatever order a client sends them.

Servers join repeated header lines with commas, or keep one of them; so each request goes over a bare socket.
"""

from __future__ import annotations

import json

from tests.security.gates import (
    KEY,
    OTHER_KEY,
    PASSWORD,
    basic,
    bearer,
    digest_line,
    good_token,
    http_date,
    signed,
)

GOOD, ALSO_GOOD = good_token(), good_token(n=2)
OTHER = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJrZXkifQ.x"
RIGHT, WRONG = basic("alice", PASSWORD), basic("alice", "wrong")

#: Path and header lines; each is sent as it is and in reverse.
REQUESTS = {
    "two tokens": ("/jwt", bearer(GOOD), bearer(ALSO_GOOD)),
    "a token, and one that is none": ("/jwt", bearer(GOOD), bearer(OTHER)),
    "a token and a password": ("/jwt", bearer(GOOD), RIGHT),
    "tokens joined": ("/jwt", f"{bearer(GOOD)}, Bearer {ALSO_GOOD}"),
    "tokens joined without scheme": ("/jwt", f"{bearer(GOOD)},{ALSO_GOOD}"),
    "tokens in header and query": (f"/jwt?jwt={ALSO_GOOD}", bearer(GOOD)),
    "tokens in header and query, one bad": (f"/jwt?jwt={OTHER}", bearer(GOOD)),
    "tokens in header and cookie": ("/jwt", bearer(GOOD), f"Cookie: jwt={ALSO_GOOD}"),
    "tokens in query and cookie": (f"/jwt?jwt={GOOD}", f"Cookie: jwt={ALSO_GOOD}"),
    "tokens in one query": (f"/jwt?jwt={GOOD}&jwt={ALSO_GOOD}",),
    "tokens in one query, escaped name": (f"/jwt?jwt={GOOD}&%6awt={ALSO_GOOD}",),
    "tokens in one cookie": ("/jwt", f"Cookie: jwt={GOOD}; jwt={ALSO_GOOD}"),
    "tokens in two cookies": ("/jwt", f"Cookie: jwt={GOOD}", f"Cookie: jwt={ALSO_GOOD}"),
    "keys in two headers": ("/key", f"apikey: {KEY}", f"apikey: {OTHER_KEY}"),
    "a key and one that is none": ("/key", f"apikey: {KEY}", "apikey: x"),
    "the same key in two headers": ("/key", f"apikey: {KEY}", f"apikey: {KEY}"),
    "keys joined": ("/key", f"apikey: {KEY},{OTHER_KEY}"),
    "keys in header and query": (f"/key?apikey={OTHER_KEY}", f"apikey: {KEY}"),
    "keys in header and query, one bad": ("/key?apikey=x", f"apikey: {KEY}"),
    "keys in header and query, header bad": (f"/key?apikey={KEY}", "apikey: x"),
    "keys in one query": (f"/key?apikey={KEY}&apikey={OTHER_KEY}",),
    "keys in one query, escaped name": (f"/key?apikey={KEY}&api%6bey={OTHER_KEY}",),
    "one key twice in a query": (f"/key?apikey={KEY}&apikey={KEY}",),
    "passwords": ("/basic", RIGHT, WRONG),
    "the same password twice": ("/basic", RIGHT, RIGHT),
    "a password and a token": ("/basic", RIGHT, bearer(GOOD)),
    "passwords joined": ("/basic", f"{RIGHT}, {WRONG.partition(': ')[2]}"),
    "access tokens": ("/oauth2", bearer("a"), bearer("b")),
    "access tokens in one query": ("/oauth2?access_token=a&access_token=b",),
}  # fmt: skip
BODIES = {
    "keys in one form": ("application/x-www-form-urlencoded", f"apikey={KEY}&apikey={OTHER_KEY}"),
    "keys in JSON": ("application/json", json.dumps({"apikey": [KEY, OTHER_KEY]})),
    "a name of JSON twice": ("application/json", f'{{"apikey": "{KEY}", "apikey": "{OTHER_KEY}"}}'),
}


def test_s27_one_credential_is_good(gate):
    good = {"/jwt": bearer(GOOD), "/key": f"apikey: {KEY}", "/basic": RIGHT}
    assert [gate.ask(path, line).status for path, line in good.items()] == [200, 200, 200]
    # The same token twice is one token: nobody can mean two different things by it.
    assert gate.ask(f"/jwt?jwt={GOOD}", bearer(GOOD)).status == 200
    assert gate.ask(f"/key?apikey={KEY}", f"apikey: {KEY}").status == 200


def test_s27_contradicting_credentials_are_refused_in_any_order(gate):
    found = {}
    for name, (path, *lines) in REQUESTS.items():
        found[name] = {gate.ask(path, *lines).status, gate.ask(path, *reversed(lines)).status}
    assert {name: statuses for name, statuses in found.items() if not statuses <= {400, 401}} == {}


def test_s27_contradicting_keys_in_a_body_are_refused(gate):
    found = {}
    for name, (kind, body) in BODIES.items():
        answer = gate.ask("/key", f"Content-Type: {kind}", method="POST", body=body.encode())
        found[name] = answer.status
    assert set(found.values()) <= {400, 401}, found


def test_s27_two_signatures_are_refused_in_any_order(gate):
    date, digest = f"Date: {http_date()}", digest_line(b"")
    good = signed("get /hmac", date, digest)
    bad = good.replace('username="alice"', 'username="bob"')
    assert gate.ask("/hmac", date, digest, good).status == 200
    for lines in ((good, bad), (bad, good), (good, good), (good, RIGHT), (RIGHT, good)):
        assert gate.ask("/hmac", date, digest, *lines).status == 401
    for lines in ((date, date), (date, f"Date: {http_date(5)}"), (f"Date: {http_date(5)}", date)):
        assert gate.ask("/hmac", *lines, digest, good).status == 401


def test_s27_two_headers_that_both_may_hold_a_password_are_kongs(gate):
    # Proxy-Authorization goes first: both are the client's own, and the right one is who it is.
    proxy = RIGHT.replace("Authorization", "Proxy-Authorization")
    for lines in (
        (proxy, basic("nobody", "x")),
        (RIGHT, basic("nobody", "x").replace("Auth", "Proxy-Auth", 1)),
    ):
        answer = gate.ask("/basic", *lines)
        assert answer.status == 200
        assert json.loads(answer.body)["HTTP_X_CONSUMER_USERNAME"] == "alice"


def test_s27_whoever_passes_is_the_one_whose_credential_it_was(gate):
    for key, user in ((KEY, "alice"), (OTHER_KEY, "bob")):
        lines = (f"apikey: {key}", "X-Consumer-Username: root", "X-Consumer-Username: admin")
        assert json.loads(gate.ask("/key", *lines).body)["HTTP_X_CONSUMER_USERNAME"] == user
