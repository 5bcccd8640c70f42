"""Credentials of every form: who they are of, or that they are of nobody."""

from __future__ import annotations

import hmac
import json
import re
from base64 import b64encode
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmw import Gateway
from plugmw.contrib import basic_auth
from plugmw.contrib.hmac_auth import plugin as hmac_auth
from plugmw.contrib.hmac_auth import signing
from plugmw.contrib.jwt import plugin as jwt
from plugmw.contrib.jwt.tokens import read as read_token
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.contrib.oauth2 import oauth
from plugmw.kernel.order import Entry
from plugmw.wsgi.headers import cookie_values
from tests.fuzz.asking import ask, seen
from tests.fuzz.budget import REFUSED, tried
from tests.fuzz.strategies import NUMBERS, SIGNS, headers, on_the_wire, texts, trees, wire_text
from tests.support.tokens import LATER, SECRET, b64, raw_token, token
from tests.support.wsgi import environ_of

KEY = "key-0123456789abcdef"
PAIR = b64encode(b"alice:secret").decode()
NOW = 1_700_000_000.0
DATE = formatdate(NOW, usegmt=True)
CONSUMERS = [
    {
        "username": "alice",
        "keyauth_credentials": [{"key": KEY}],
        "basicauth_credentials": [{"username": "alice", "password": "secret"}],
        "hmacauth_credentials": [{"username": "alice", "secret": SECRET}],
        "jwt_secrets": [{"key": "key", "secret": SECRET}],
        "oauth2_credentials": [
            {"name": "a", "client_id": "a", "client_secret": "s", "redirect_uris": ["https://a.example/"]}
        ],
    }
]


_PAIR = r'\\(?:[\\"+,;<> #=]|[0-9a-f]{2})'
#: A name of three parts, by the grammar of RFC 4514 section 3.
_DN = re.compile(
    rf'uid=(?:[^\0 #"+,;<>\\]|{_PAIR})(?:[^\0"+,;<>\\]|{_PAIR})*,ou=people,dc=example', re.DOTALL
).fullmatch


def bind(dn, password, config):
    """Be a directory that knows alice, and sees to it that no name is anything but a name."""
    assert _DN(dn), dn
    return None if dn == "uid=alice,ou=people,dc=example" and password == "secret" else "no"


class Directory(LDAPAuth):
    binder = bind


def guarded(plugin, **config):
    """Return a gateway with one plugin that authenticates."""
    entry = {"name": plugin, "config": config}
    return Gateway(seen, {"consumers": CONSUMERS, "plugins": [entry]}, clock=lambda: NOW)


@pytest.fixture(scope="module")
def gates():
    made = {
        "basic": guarded("basic-auth", hide_credentials=True),
        "key": guarded("key-auth", key_names=["apikey", "x"], key_in_body=True, hide_credentials=True),
        "jwt": guarded(
            "jwt", cookie_names=["jwt"], claims_to_verify=["exp", "nbf"], maximum_expiration=30_000_000
        ),
        "hmac": guarded("hmac-auth", validate_request_body=True, hide_credentials=True),
        "strict": guarded("hmac-auth", strict=True),
        "oauth2": guarded(
            "oauth2",
            scopes=["email"],
            enable_authorization_code=True,
            enable_implicit_grant=True,
            enable_password_grant=True,
            enable_client_credentials=True,
            provision_key="p",
            accept_http_if_already_terminated=True,
        ),
        "ldap": Gateway(
            seen,
            plugins=[
                Entry(
                    Directory(
                        ldap_host="h", base_dn="ou=people,dc=example", attribute="uid", hide_credentials=True
                    )
                )
            ],
        ),
    }
    yield made
    for gateway in made.values():
        gateway.stop()


def pairs(scheme):
    """Return headers with a changed pair in Base64, and changed headers with a pair."""
    inside = texts("alice:secret", "alice,ou=x:secret", "a:b:c", words=(":", "alice", "secret"))
    encoded = inside.map(lambda text: b64encode(text.encode("utf-8", "surrogatepass")).decode())
    return st.one_of(
        encoded.map(lambda text: f"{scheme} {text}"), headers(f"{scheme} {PAIR}", words=(scheme,))
    )


def is_alices(result):
    return result.status.startswith("200") and result.body == b"alice"


def test_what_is_changed_here_is_good_before(gates):
    assert is_alices(ask(gates["basic"], HTTP_AUTHORIZATION=f"Basic {PAIR}"))
    assert ask(gates["ldap"], HTTP_AUTHORIZATION=f"ldap {PAIR}").status.startswith("200")
    assert is_alices(ask(gates["key"], HTTP_APIKEY=KEY))
    assert is_alices(ask(gates["jwt"], HTTP_AUTHORIZATION=f"Bearer {token({**CLAIMS})}"))
    # Not the strict one: it lets a signature through once, and another test may have had it.
    authorization = signed(["date", "@request-target"])
    assert is_alices(ask(gates["hmac"], HTTP_DATE=DATE, HTTP_AUTHORIZATION=authorization))


# -- basic and ldap ----------------------------------------------------------------------------------------


@given(pairs("Basic"))
def test_a_basic_pair_is_read_or_not_there(gates, value):
    found = tried(basic_auth.read, value)
    assert found is None or (found[0] and ":" not in found[0])
    result = ask(gates["basic"], HTTP_AUTHORIZATION=value)
    assert is_alices(result) == (found == ("alice", "secret"))
    assert tried(oauth.basic, value) is None or all(isinstance(one, str) for one in oauth.basic(value))


@given(pairs("ldap"))
def test_an_ldap_name_stays_a_name(gates, value):
    ask(gates["ldap"], HTTP_AUTHORIZATION=value)


@given(pairs("Basic"), pairs("Basic"))
def test_of_two_headers_none_opens_by_being_broken(gates, proxy, own):
    result = ask(gates["basic"], HTTP_AUTHORIZATION=own, HTTP_PROXY_AUTHORIZATION=proxy)
    good = ("alice", "secret") in (basic_auth.read(proxy), basic_auth.read(own))
    assert good or not is_alices(result)


# -- key-auth and tokens of oauth2 -------------------------------------------------------------------------

QUERIES = (f"apikey={KEY}", f"a=1&apikey={KEY}&b", f"apikey=&x={KEY}", "apikey")
FORMS = {
    "application/x-www-form-urlencoded": QUERIES,
    "application/json": (f'{{"apikey": "{KEY}"}}', '{"apikey": ["a", 1], "x": {"y": null}}'),
    "multipart/form-data; boundary=b": (
        f'--b\r\nContent-Disposition: form-data; name="apikey"\r\n\r\n{KEY}\r\n--b--\r\n',
    ),
}


@given(headers(*QUERIES, words=("apikey", KEY, "&", "=")))
def test_a_key_in_the_query_is_alices_or_nobodys(gates, query):
    result = ask(gates["key"], QUERY_STRING=query)
    assert KEY in query.replace("%2d", "-") or "%" in query or not is_alices(result)


@given(st.data(), st.sampled_from(sorted(FORMS)))
def test_a_key_in_a_body_is_alices_or_nobodys(gates, data, kind):
    body = data.draw(texts(*FORMS[kind], words=("apikey", KEY, "--b", "\r\n"))).encode(
        "utf-8", "surrogatepass"
    )
    declared = data.draw(headers(kind, words=(*FORMS, "boundary", "charset", "=")))
    ask(gates["key"], body, REQUEST_METHOD="POST", CONTENT_TYPE=declared)


GRANTS = (
    "grant_type=client_credentials&client_id=a&client_secret=s&scope=email",
    "grant_type=authorization_code&client_id=a&client_secret=s&code=c&code_verifier=" + "v" * 43,
    "grant_type=password&client_id=a&client_secret=s&provision_key=p&authenticated_userid=u&scope=email",
    "grant_type=refresh_token&client_id=a&client_secret=s&refresh_token=r",
    "response_type=code&client_id=a&provision_key=p&authenticated_userid=u&state=x&code_challenge="
    + "c" * 43,
    "response_type=token&client_id=a&provision_key=p&authenticated_userid=u&redirect_uri=https://a.example/",
)


@given(
    texts(*GRANTS),
    st.sampled_from(["/oauth2/token", "/oauth2/authorize"]),
    headers(f"Basic {PAIR}", "Basic YTpz"),
)
def test_a_grant_is_given_or_refused(gates, form, path, authorization):
    body = form.encode("utf-8", "surrogatepass")
    kind = "application/x-www-form-urlencoded"
    request = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "HTTP_X_FORWARDED_PROTO": "https"}
    request |= {"wsgi.url_scheme": "https"}
    ask(gates["oauth2"], body, CONTENT_TYPE=kind, **request)
    ask(gates["oauth2"], body, CONTENT_TYPE=kind, HTTP_AUTHORIZATION=authorization, **request)


@given(headers("Bearer 0123456789abcdef", words=("Bearer",)), headers("access_token=0123456789abcdef&a=b"))
def test_a_token_of_oauth2_is_nobodys(gates, value, query):
    assert not is_alices(ask(gates["oauth2"], HTTP_AUTHORIZATION=value, QUERY_STRING=query))


# -- JSON Web Tokens ---------------------------------------------------------------------------------------

CLAIMS = {"iss": "key", "exp": int(NOW) + 10_000, "nbf": 1, "aud": ["a", "b"], "sub": "s"}
TOKENS = (token(CLAIMS), token(CLAIMS, "HS384"), token({"iss": "key", "exp": LATER}, kid="k"))
JWT_VALUES = (float("nan"), float("inf"), -(2**63), 1e308, NOW, "1700000000", "key", "none", "HS256", "RS256")


def json_of(strategy):
    return strategy.map(json.dumps)


HEADERS = st.one_of(
    json_of(trees({"alg": "HS256", "typ": "JWT"}, keys=("kid", "crit", "jwk", "iss"), values=JWT_VALUES)),
    texts('{"alg": "HS256", "typ": "JWT"}', words=("alg", "none", '"alg":"none"', ",")),
)
PAYLOADS = st.one_of(
    json_of(trees(CLAIMS, keys=("iss", "exp", "nbf"), values=JWT_VALUES)),
    texts(json.dumps(CLAIMS), words=('"iss":"key"', '"exp":0', "1e400", "NaN", "[" * 1000, '{"a":' * 1000)),
)


@given(headers(*(f"Bearer {one}" for one in TOKENS), words=("Bearer", b64(b"{}"), "=", "==")))
def test_a_token_with_a_change_is_refused(gates, value):
    result = ask(gates["jwt"], HTTP_AUTHORIZATION=value)
    whole = jwt.header_tokens(value)
    assert not is_alices(result) or (len(set(whole)) == 1 and read_token(whole[0]).claims["iss"] == "key")


@given(HEADERS, PAYLOADS)
def test_a_signed_token_says_what_it_is_or_is_refused(gates, header, payload):
    header, payload = (text.encode("utf-8", "surrogatepass").decode("latin-1") for text in (header, payload))
    made = tried(read_token, raw_token(header, payload), refuses=ValueError)
    assert made is REFUSED or isinstance(made.claims, dict)
    result = ask(gates["jwt"], HTTP_AUTHORIZATION=f"Bearer {raw_token(header, payload)}")
    if is_alices(result):
        assert made.header["alg"] == "HS256"
        assert made.claims["exp"] > NOW >= made.claims["nbf"]


COOKIES = (*(f"a=b; jwt={one}; c=d" for one in TOKENS), "jwt=", 'a="b;c"; jwt="x"', "=;=;;")


@given(
    headers(*COOKIES, words=("jwt", ";", "=", '"', "$Version")), headers(f"jwt={TOKENS[0]}", "a=1&jwt&jwt=x")
)
def test_a_token_in_a_cookie_or_a_query_is_one_or_none(gates, cookie, query):
    tried(cookie_values, cookie, "jwt")
    ask(gates["jwt"], HTTP_COOKIE=cookie)
    ask(gates["jwt"], HTTP_COOKIE=cookie, QUERY_STRING=query)


# -- signatures over headers -------------------------------------------------------------------------------


def signed(names, user="alice", algorithm="hmac-sha256", secret=SECRET, **environ):
    """Sign the request that ``environ`` makes, as plugmw reads the names."""
    made = environ_of(HTTP_DATE=DATE, **environ)
    text = signing.signing_text(made, names)
    signature = b64encode(hmac.digest(secret.encode(), text, "sha256")).decode()
    listed = " ".join(names)
    return f'hmac username="{user}", algorithm="{algorithm}", headers="{listed}", signature="{signature}"'


SIGNATURES = (
    signed(["date", "@request-target"]),
    signed(["date", "request-line", "host", "digest"]),
    signed(["x-date", "content-length"], algorithm="hmac-sha1"),
)


@given(headers(*SIGNATURES, words=("username", "algorithm", "headers", "signature", "hmac", '"', '",')))
def test_a_signature_is_read_or_not_there(gates, value):
    found = tried(hmac_auth.read, value)
    assert found is None or (found.user and all(found.names))
    for gate in ("hmac", "strict"):
        ask(gates[gate], HTTP_AUTHORIZATION=value, HTTP_DATE=DATE, HTTP_X_DATE=DATE)


@given(
    st.lists(texts("date", "@request-target", "x-b", "Date", "host", "content-type"), min_size=1, max_size=5)
)
def test_a_signature_over_any_names_is_alices_or_refused(gates, names):
    names = [wire_text(name).replace(" ", "") for name in names]
    value = signed(names, HTTP_X_B="é".encode().decode("latin-1"))
    result = ask(gates["hmac"], HTTP_AUTHORIZATION=value, HTTP_DATE=DATE, HTTP_X_B="Ã©")
    assert is_alices(result) == (hmac_auth.read(value) is not None)


DATES = (DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994")


@given(headers(*DATES, words=("Feb", "60", "00", "99", "GMT", "UTC", "+0000", *NUMBERS)))
def test_a_date_is_a_number_of_seconds_or_none(gates, text):
    found = tried(signing.http_time, text)
    assert found is None or -(10**11) < found < 10**12
    ask(gates["hmac"], HTTP_DATE=text, HTTP_AUTHORIZATION=SIGNATURES[0])


EMPTY = "SHA-256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@given(headers(EMPTY, words=SIGNS), st.binary(max_size=100))
def test_a_digest_is_true_or_refused(gates, digest, body):
    made = signed(["date", "@request-target"], REQUEST_METHOD="POST")
    result = ask(
        gates["hmac"],
        body,
        REQUEST_METHOD="POST",
        HTTP_DIGEST=digest,
        HTTP_DATE=DATE,
        HTTP_AUTHORIZATION=made,
    )
    assert is_alices(result) == (not body and digest == EMPTY)


@given(on_the_wire(texts("alice", "é", "a" * 5000)))
def test_any_user_name_is_looked_up(gates, user):
    ask(gates["hmac"], HTTP_DATE=DATE, HTTP_AUTHORIZATION=signed(["date"], user=user))
