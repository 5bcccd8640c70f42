"""S22: secrets are compared by ``hmac.compare_digest``; an unknown user costs as much as a wrong password.

Times are not measured: what is counted is the work, every hash and every comparison.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from email.utils import formatdate

import pytest
from werkzeug.security import generate_password_hash

from plugmw import Gateway
from plugmw.auth import passwords
from plugmw.contrib.basic_auth import BasicAuth
from plugmw.contrib.hmac_auth import HMACAuth
from plugmw.contrib.jwt import JWT
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.contrib.oauth2 import OAuth2
from plugmw.testing import get, hello_app
from tests.support.tokens import LATER, token

SHORT, LONG = "short-secret-0123456789abcdefghij", "long-secret-" * 20
SLOW_HASH = "scrypt:1024:8:1"


@pytest.fixture
def work(monkeypatch):
    """Note every hash that is made, with its rounds, and every comparison, with both lengths."""
    done = []

    def note(module, name, cost):
        real = getattr(module, name)

        def noting(*given, **named):
            done.append((name, *cost(*given, **named)))
            return real(*given, **named)

        monkeypatch.setattr(module, name, noting)

    for name in ("md5", "sha1", "sha256", "sha512"):
        note(hashlib, name, lambda *_, **__: ())
    note(hashlib, "pbkdf2_hmac", lambda name, password, salt, rounds, *_: (name, rounds))
    note(hashlib, "scrypt", lambda password, *, salt, n, r, p, **_: (n, r, p))
    note(hmac, "digest", lambda key, text, name: (len(key) > 0,))
    note(hmac, "new", lambda *_, **__: ())
    note(hmac, "compare_digest", lambda one, other: (len(one), len(other)))
    return done


def gateway(plugin, secret, form="plain"):
    written = {
        "plain": secret,
        "hashed": generate_password_hash(secret, SLOW_HASH),
        "kong": f"{passwords.KONG}${hashlib.sha1(secret.encode()).hexdigest()}",
    }
    consumer = {
        "id": "00000001-0000-4000-8000-000000000001",
        "username": "alice",
        "keyauth_credentials": [{"key": secret}],
        "basicauth_credentials": [{"username": "alice", "password": written[form]}],
        "hmacauth_credentials": [{"username": "alice", "secret": secret}],
        "jwt_secrets": [{"key": "alice", "secret": secret}],
        "oauth2_credentials": [
            {
                "name": "shop",
                "client_id": "alice",
                "client_secret": secret,
                "hash_secret": form == "hashed",
                "redirect_uris": ["https://a.example/"],
            }
        ],
    }
    return Gateway(hello_app, {"consumers": [consumer], "store": "memory://"}, plugins=[plugin])


def basic(user, password):
    return {"headers": {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}}


def signed(user, password):
    made = b64encode(password.encode().ljust(32)[:32]).decode()
    value = f'hmac username="{user}", algorithm="hmac-sha256", headers="x-a", signature="{made}"'
    return {"headers": {"Authorization": value, "Date": formatdate(usegmt=True), "X-A": "1"}}


def client(user, password):
    form = {"grant_type": "client_credentials", "client_id": user, "client_secret": password}
    return {"path": "/oauth2/token", "method": "POST", "data": form, "environ": {"wsgi.url_scheme": "https"}}


WAYS = {
    # plugin, request of a user with a password, status
    "basic-auth": (lambda: BasicAuth(), basic, 401),
    "hmac-auth": (lambda: HMACAuth(), signed, 401),
    "oauth2 client": (lambda: OAuth2(enable_client_credentials=True), client, 400),
}


@pytest.mark.parametrize("form", ["plain", "hashed", "kong"])
@pytest.mark.parametrize(("plugin", "request_of", "status"), WAYS.values(), ids=WAYS)
def test_s22_an_unknown_user_is_the_same_work_as_a_wrong_password(plugin, request_of, status, form, work):
    app = gateway(plugin(), SHORT, form)
    get(app)

    def done(user, password):
        work.clear()
        answer = get(app, **request_of(user, password))
        assert answer.status_code == status
        return list(work), answer.data

    wrong, unknown = done("alice", "wrong"), done("nobody", "wrong")
    # A SHA-1 of Kong's form is nothing beside what both are then made to cost.
    cheap = ("sha1",) if form == "kong" else ()
    costs = [one for one in wrong[0] if one[0] not in cheap and one != ("compare_digest", 40, 40)]
    assert costs == unknown[0]
    assert any(one[0] == "compare_digest" for one in costs)
    if form == "hashed" and request_of is not signed:
        assert any(isinstance(one[-1], int) and one[0] in ("scrypt", "pbkdf2_hmac") for one in costs)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "hashed"])
@pytest.mark.parametrize(("plugin", "request_of", "status"), WAYS.values(), ids=WAYS)
def test_s22_the_work_tells_nothing_about_the_secret(plugin, request_of, status, form, work):
    """Neither its length, nor how much of it was guessed; compared are digests of equal length."""
    found = set()
    for secret in (SHORT, LONG):
        app = gateway(plugin(), secret, form)
        get(app)
        for guess in ("wrong", secret[:-1], secret + "x", "x" * len(secret)):
            work.clear()
            assert get(app, **request_of("alice", guess)).status_code == status
            found.add(tuple(work))
    assert len(found) == 1
    assert {one == other for name, *lengths in found.pop() if name == "compare_digest"
            for one, other in [lengths]} == {True}  # fmt: skip


def test_s22_a_key_is_looked_up_by_its_digest_whatever_it_is(work):
    app = gateway(KeyAuth(), SHORT)
    get(app)
    found = set()
    for key in ("wrong", SHORT[:-1], SHORT + "x", "x" * len(SHORT)):
        work.clear()
        assert get(app, headers={"apikey": key}).status_code == 401
        found.add(tuple(work))
    assert found == {(("sha256",),)}


def test_s22_a_signature_of_a_token_is_compared_whole_whatever_is_wrong_with_it(work):
    # An unknown issuer is told so, as by Kong: there is nothing to find out by time.
    app = gateway(JWT(), SHORT)
    get(app)
    good = token({"iss": "alice", "exp": LATER}, key=SHORT)
    found = set()
    for place in (1, 20, 42):
        signature = good.rpartition(".")[2]
        changed = signature[:place] + ("A" if signature[place] != "A" else "Q") + signature[place + 1 :]
        work.clear()
        assert get(app, headers={"Authorization": f"Bearer {good[:-43]}{changed}"}).status_code == 401
        found.add(tuple(work))
    assert len(found) == 1
    assert ("compare_digest", 32, 32) in found.pop()


def test_s22_a_directory_is_asked_about_everybody():
    asked = []

    def binder(dn, password, config):
        asked.append(dn)
        return "49"

    class Bound(LDAPAuth):
        pass

    Bound.binder = staticmethod(binder)
    app = Gateway(hello_app, plugins=[Bound(ldap_host="h.example", base_dn="dc=example", attribute="uid")])
    for user in ("alice", "nobody"):
        pair = b64encode(f"{user}:wrong".encode()).decode()
        assert get(app, headers={"Authorization": f"ldap {pair}"}).status_code == 401
    assert asked == ["uid=alice,dc=example", "uid=nobody,dc=example"]


class Spy(str):
    """A secret that tells when it is compared in any other way than by ``hmac.compare_digest``."""

    told: list[str] = []

    def _tell(self, how, other):
        # With itself is how dictionaries and caches find it again.
        if other is not self:
            self.told.append(how)

    def __eq__(self, other):
        self._tell("==", other)
        return str.__eq__(self, other)

    def __ne__(self, other):
        self._tell("!=", other)
        return str.__ne__(self, other)

    def __contains__(self, other):
        self._tell("in", other)
        return str.__contains__(self, other)

    def startswith(self, *given):
        # How secrets are stored is told by fixed texts in front; a client's would be a comparison.
        if given[0] not in (f"{passwords.KONG}$", "$pbkdf2-"):
            self.told.append("startswith")
        return str.startswith(self, *given)

    __hash__ = str.__hash__


REQUESTS = {
    "basic-auth": (lambda: BasicAuth(), "basic-auth", "password", basic),
    "hmac-auth": (lambda: HMACAuth(), "hmac-auth", "secret", signed),
    "oauth2 client": (lambda: OAuth2(enable_client_credentials=True), "oauth2", "client_secret", client),
    "jwt": (
        lambda: JWT(),
        "jwt",
        "secret",
        lambda user, key: {"headers": {"Authorization": f"Bearer {token({'iss': user}, key=key)}"}},
    ),
}


@pytest.mark.parametrize(("plugin", "kind", "field", "request_of"), REQUESTS.values(), ids=REQUESTS)
def test_s22_no_secret_is_compared_with_a_clients_text(plugin, kind, field, request_of):
    app = gateway(plugin(), SHORT)
    (credential,) = app.runtime.consumers.credentials(kind)
    credential.data[field] = Spy(credential.data[field])
    Spy.told.clear()
    for guess in ("wrong", SHORT[:-1], SHORT, SHORT + "x"):
        get(app, **request_of("alice", guess))
    assert Spy.told == []


def test_s22_no_provision_key_is_compared_with_a_clients_text(work):
    plugin = OAuth2(enable_authorization_code=True, provision_key=SHORT)
    app = gateway(plugin, SHORT)
    object.__setattr__(plugin.config, "provision_key", Spy(SHORT))
    Spy.told.clear()
    for guess in ("wrong", SHORT, SHORT + "x"):
        form = {"response_type": "code", "client_id": "alice", "provision_key": guess}
        get(app, path="/oauth2/authorize", method="POST", data=form, environ={"wsgi.url_scheme": "https"})
    assert Spy.told == []
    assert [one for one in work if one[0] == "compare_digest"] == [("compare_digest", 32, 32)] * 3
