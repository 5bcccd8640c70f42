"""hmac-auth: configuration, the header, dates, what is signed, replays, and through an app."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from email.utils import formatdate

import pytest

from plugmw import ConfigError
from plugmw.contrib.hmac_auth import HMACAuth
from plugmw.contrib.hmac_auth import plugin as hmac_auth
from plugmw.contrib.hmac_auth.plugin import DIFFERENT, NO_DATE, UNVERIFIABLE, read
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory
from plugmw.stores import open_store
from plugmw.testing import get, hello_app

NOW = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
BOB = {
    "id": "00000001-0000-4000-8000-000000000001",
    "username": "bob",
    "custom_id": "1234",
    "hmacauth_credentials": [{"username": "bob", "secret": "secret"}, {"username": "zoé", "secret": "clé"}],
    "keyauth_credentials": [{"key": "kong"}],
}
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body"}
CONSUMERS = {"consumers": [BOB, NOBODY]}
PROXY = "Proxy-Authorization"


def at(seconds):
    return formatdate(NOW + seconds, usegmt=True)


def sign(text, names="date", user="bob", secret="secret", algorithm="sha256"):
    """Sign a text the way a client does, with nothing of plugmw."""
    made = b64encode(hmac.new(secret.encode(), text.encode("latin-1"), algorithm).digest()).decode()
    return f'hmac username="{user}", algorithm="hmac-{algorithm}", headers="{names}", signature="{made}"'


GOOD = sign(f"date: {DATE}")


def app_of(config=None, plugins=(), clock=NOW, store="memory://", **more):
    return Gateway(
        hello_app,
        {**CONSUMERS, "store": store},
        plugins=[HMACAuth(**(config or {})), *plugins],
        clock=clock if callable(clock) else lambda: clock,
        **more,
    )


def ask(headers, config=None, plugins=(), app=None, environ=None, **request):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    environ = {"plugmw.testing.saw": saw, **(environ or {})}
    answer = get(app or app_of(config, plugins), environ=environ, headers=headers, **request)
    return answer, saw[0] if saw else None


def signed(authorization, **headers):
    return {"Date": DATE, "Authorization": authorization, **headers}


# -- configuration -----------------------------------------------------------------------------------------


BAD = {
    "negative skew": ({"clock_skew": -10}, "clock_skew: got -10, expected a number above 0"),
    "no skew": ({"clock_skew": 0}, "clock_skew: got 0, expected a number above 0"),
    "unknown algorithm": (
        {"algorithms": ["hmac-sha256", "hmac-md5"]},
        r"algorithms\[1\]: got 'hmac-md5', expected one of hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512",
    ),
    "headers that are no list": ({"enforce_headers": "date"}, "enforce_headers: got 'date', expected a list"),
    "realm with a quote": ({"realm": 'a"b'}, "realm: got"),
    "unknown field": ({"clock_skews": 1}, 'did you mean "clock_skew"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        HMACAuth(**config)


def test_advises_against_sha_1(caplog):
    app_of({"algorithms": ["hmac-sha256"]})
    assert caplog.text == ""
    app_of()
    assert "hmac-sha1 is among the algorithms, as in Kong; list stronger ones only" in caplog.text


# -- reading the header ------------------------------------------------------------------------------------

FIELDS = 'username="bob",algorithm="hmac-sha1",headers="date x-a",signature="c2ln"'
BOBS = ("bob", "hmac-sha1", ["date", "x-a"], "c2ln")
READ = {
    "as it should be": (f"hmac {FIELDS}", BOBS),
    "capital": (f"Hmac {FIELDS}", BOBS),
    "capitals": (f"HMAC {FIELDS}", None),
    "blanks after commas": (f"hmac  {FIELDS.replace(',', ',   ')}", BOBS),
    "no blanks": (f"hmac{FIELDS}", BOBS),
    "a quote in front": (f'"hmac {FIELDS}', BOBS),
    "blanks around": (f"  hmac {FIELDS}  ", BOBS),
    "a header in front": (f"Basic abc, hmac {FIELDS}", None),
    "a header behind": (f"hmac {FIELDS},Basic abc", None),
    "repeated": (f"hmac {FIELDS},hmac {FIELDS}", None),
    "no user": (f"hmac {FIELDS}".replace("bob", ""), None),
    "blank user": (f"hmac {FIELDS}".replace("bob", " "), None),
    "field missing": (f"hmac {FIELDS}".replace('username="bob",', ""), None),
    "field of another name": (f"hmac {FIELDS}".replace("headers=", "wrong_header="), None),
    "another order": ('hmac algorithm="hmac-sha1",username="bob",headers="date",signature="c2ln"', None),
    "comma missing": (f"hmac {FIELDS}".replace('sha1",', 'sha1" '), None),
    "blank before a comma": (f"hmac {FIELDS}".replace('sha1",', 'sha1" ,'), None),
    "two blanks between names": (f"hmac {FIELDS}".replace("date x-a", "date  x-a"), None),
    "name that is no token": (f"hmac {FIELDS}".replace("x-a", "x:a"), None),
    "the target": (
        f"hmac {FIELDS}".replace("x-a", "@request-target"),
        (*BOBS[:2], ["date", "@request-target"], "c2ln"),
    ),
    "another name with @": (f"hmac {FIELDS}".replace("x-a", "@target"), None),
    "another scheme": (f"Basic {FIELDS}", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("value", "fields"), READ.values(), ids=READ)
def test_reads_the_header(value, fields):
    made = read(value)
    assert (made and (made.user, made.algorithm, made.names, made.signature)) == fields


def test_a_signature_is_not_shown():
    assert "c2ln" not in repr(read(f"hmac {FIELDS}"))


# -- dates -------------------------------------------------------------------------------------------------

SKEWS = {
    # headers (what is signed is always the x-date or date that is first) -> status
    "now": ({"Date": at(0)}, 200),
    "at the edge of the past": ({"Date": at(-300)}, 200),
    "beyond the past": ({"Date": at(-301)}, 401),
    "at the edge of the future": ({"Date": at(300)}, 200),
    "beyond the future": ({"Date": at(301)}, 401),
    "x-date": ({"X-Date": at(0)}, 200),
    "x-date malformed, date good": ({"X-Date": "yesterday", "Date": at(0)}, 200),
    "x-date good, date malformed": ({"X-Date": at(0), "Date": "yesterday"}, 200),
    "x-date stale, date good": ({"X-Date": at(-999), "Date": at(0)}, 200),
    "both stale": ({"X-Date": at(-999), "Date": at(999)}, 401),
    "none": ({}, 401),
}


@pytest.mark.parametrize(("dates", "status"), SKEWS.values(), ids=SKEWS)
def test_one_date_must_be_near_enough(dates, status):
    name, value = next(iter(dates.items()), ("date", None))
    text = f"{name.lower()}: {value}" if value else "date:"
    answer, _ = ask({**dates, "Authorization": sign(text, name.lower())})
    assert answer.status_code == status
    if status == 401:
        assert answer.json["message"] == NO_DATE


def test_an_enforced_date_is_the_one_that_counts():
    dates = {"Date": at(-999), "X-Date": at(0)}
    text = f"date: {at(-999)}\nx-date: {at(0)}"
    for names, message in ((["date"], NO_DATE), (["x-date"], None), (["date", "x-date"], None)):
        config = {"enforce_headers": names}
        answer, _ = ask({**dates, "Authorization": sign(text, "date x-date")}, config)
        assert (answer.status_code, answer.json["message"] if message else None) == (
            401 if message else 200,
            message,
        )


def test_an_empty_secret_verifies_nothing():
    directory = MemoryDirectory([Consumer(id="1", username="bob")])
    directory.add("hmac-auth", "bob", Credential(id="2", consumer_id="1", data={"secret": ""}))
    app = Gateway(hello_app, plugins=[HMACAuth()], consumers=directory, clock=lambda: NOW)
    answer, _ = ask(signed(sign(f"date: {DATE}", secret="")), app=app)
    assert (answer.status_code, answer.json["message"]) == (401, DIFFERENT)


# -- access ------------------------------------------------------------------------------------------------


def kong(algorithm, names, signature, gap=""):
    return f'hmac username="bob",algorithm="{algorithm}",{gap}headers="{names}",signature="{signature}"'


#: Signatures of Kong's own specs: secret "secret", GET /request HTTP/1.1, Content-MD5: md5.
VECTORS = {
    "sha1": (kong("hmac-sha1", "date", "1b3GnE0+rwUdVXmi1pXSHWpV9/o="), "Date"),
    "sha1, with a quote in front": ('"' + kong("hmac-sha1", "date", "1b3GnE0+rwUdVXmi1pXSHWpV9/o="), "Date"),
    "sha1 and x-date": (
        kong("hmac-sha1", "x-date content-md5 request-line", "NW1Bi7KSb5RQF7hmv4wSIL+XVDo=", "  "),
        "X-Date",
    ),
    "sha256": (
        kong(
            "hmac-sha256",
            "date content-md5 request-line",
            "oJVF+jPnXy/vLV7r0ocRfxri9NZGWuoiW/upPiS/wXU=",
            "  ",
        ),
        "Date",
    ),
    "sha384": (
        kong(
            "hmac-sha384",
            "date content-md5 request-line",
            "lKd4Qb9iS64aIvsyBbckpBWNApwVTEqb4U9l8XQDECBA6hrmO3m1xGRRstYZSRCn",
        ),
        "Date",
    ),
    "sha512": (
        kong(
            "hmac-sha512",
            "date content-md5 request-line",
            "/vIXwGsL9lPpyr2LK8owTEXJd1RlP3vwPD5RAyCWY9bbKbYMYM+Fr2MKAVh4c3JWP/G9xZuIaCYFMKKRVGBCcA==",
        ),
        "Date",
    ),
}


@pytest.mark.parametrize("header", ["Authorization", PROXY])
@pytest.mark.parametrize(("value", "date"), VECTORS.values(), ids=VECTORS)
def test_lets_through_what_kongs_specs_sign(value, date, header):
    headers = {date: DATE, "Content-MD5": "md5", "Authorization": "hello", header: value}
    answer, saw = ask(headers, {"clock_skew": 3000}, path="/request")
    assert (answer.status_code, saw["HTTP_X_CREDENTIAL_IDENTIFIER"]) == (200, "bob")


REFUSED = {
    # headers, config -> message
    "no header": ({"Date": DATE}, {}, "Unauthorized"),
    "no header and no date": ({}, {}, "Unauthorized"),
    "empty header": (signed(""), {}, UNVERIFIABLE),
    "unreadable header": (signed("hello"), {}, UNVERIFIABLE),
    "no date": ({"Authorization": GOOD}, {}, NO_DATE),
    "algorithm nobody knows": (signed(GOOD.replace("sha256", "sha")), {}, UNVERIFIABLE),
    "algorithm in capitals": (signed(GOOD.replace("hmac-sha256", "HMAC-SHA256")), {}, UNVERIFIABLE),
    "algorithm switched off": (signed(GOOD), {"algorithms": ["hmac-sha512"]}, UNVERIFIABLE),
    "enforced header not signed": (
        signed(sign(f"date: {DATE}\ncontent-md5: md5", "date content-md5"), **{"Content-MD5": "md5"}),
        {"enforce_headers": ["date", "request-line"], "validate_request_body": True},
        UNVERIFIABLE,
    ),
    "enforced header in another spelling": (
        signed(sign(f"Date: {DATE}", "Date")),
        {"enforce_headers": ["date"]},
        UNVERIFIABLE,
    ),
    "unknown user": (signed(sign(f"date: {DATE}", user="Bob")), {}, UNVERIFIABLE),
    "another secret": (signed(sign(f"date: {DATE}", secret="other")), {}, DIFFERENT),
    "another text": (signed(sign(f"date: {at(1)}")), {}, DIFFERENT),
    "another algorithm": (signed(GOOD.replace("sha256", "sha1")), {}, DIFFERENT),
    "signature that is no Base64": (signed(GOOD[:-3] + '!="'), {}, DIFFERENT),
    "signature cut": (signed(sign("x").partition("signature")[0] + 'signature="AAAA"'), {}, DIFFERENT),
    "signature outside ASCII": (signed(GOOD[:-3] + '\xe9="'), {}, DIFFERENT),
    "proxy good, the other too, both wrong": (signed("hello", **{PROXY: "hello"}), {}, UNVERIFIABLE),
    "proxy readable but wrong": (signed(GOOD, **{PROXY: sign("x")}), {}, DIFFERENT),
}


@pytest.mark.parametrize(("headers", "config", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(headers, config, message):
    answer, saw = ask(headers, config)
    assert (answer.status_code, saw, answer.json["message"]) == (401, None, message)
    assert answer.headers["WWW-Authenticate"] == "hmac"


PASSES = {
    "good": (signed(GOOD), {}),
    "proxy unreadable, the other good": (signed(GOOD, **{PROXY: "hello"}), {}),
    "enforced headers are signed": (
        signed(sign(f"date: {DATE}\nGET / HTTP/1.1", "date request-line")),
        {"enforce_headers": ["request-line", "date"]},
    ),
    "nothing but a header that is not there": (signed(sign("x-b:", "x-b")), {}),
}


@pytest.mark.parametrize(("headers", "config"), PASSES.values(), ids=PASSES)
def test_lets_through(headers, config):
    assert ask(headers, config)[0].status_code == 200


def test_users_and_secrets_are_utf_8():
    header = sign(f"date: {DATE}", user="zoé".encode().decode("latin-1"), secret="clé")
    _, saw = ask(signed(header))
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"] == "zoé".encode().decode("latin-1")


TARGETS = {
    # path, query, signed target -> status
    "as it is": ("/request", "", "/request", 200),
    "with its query": ("/request", "name=foo", "/request?name=foo", 200),
    "query not signed": ("/request", "name=foo", "/request", 401),
    "query not sent": ("/request", "", "/request?name=foo", 401),
    "slash at the end": ("/request/", "", "/request", 401),
    "escapes stay": ("/a%2Fb%20c", "q=%41", "/a%2Fb%20c?q=%41", 200),
    "escapes are not resolved": ("/%61", "", "/a", 401),
}


@pytest.mark.parametrize("line", ["@request-target: get {}", "GET {} HTTP/1.1"], ids=["target", "line"])
@pytest.mark.parametrize(("path", "query", "target", "status"), TARGETS.values(), ids=TARGETS)
def test_signs_the_target_exactly_as_sent(path, query, target, status, line):
    name = "@request-target" if line[0] == "@" else "request-line"
    header = sign(f"date: {DATE}\n{line.format(target)}", f"date {name}")
    sent = f"{path}?{query}" if query else path
    answer, _ = ask(signed(header), path=path, query_string=query, environ={"RAW_URI": sent})
    assert answer.status_code == status


@pytest.mark.parametrize("target", [{"RAW_URI": "/a?b=1&apikey=kong"}, {}], ids=["told", "not told"])
def test_signs_the_target_that_was_sent_when_key_auth_has_hidden_its_key(target):
    header = sign(f"date: {DATE}\n@request-target: get /a?b=1&apikey=kong", "date @request-target")
    answer, saw = ask(
        signed(header),
        plugins=[KeyAuth(hide_credentials=True)],
        path="/a",
        query_string="b=1&apikey=kong",
        environ=target,
    )
    assert (answer.status_code, saw["QUERY_STRING"]) == (200, "b=1")
    told = {key: value for key, value in saw.items() if not key.startswith(("werkzeug.", "plugmw.testing."))}
    assert "kong" not in repr(told)


def test_a_credential_that_has_expired_or_has_no_owner_is_unknown():
    directory = MemoryDirectory()
    app = Gateway(hello_app, plugins=[HMACAuth()], consumers=directory, clock=lambda: NOW)
    data = {"secret": "secret"}
    directory.add("hmac-auth", "old", Credential(id="1", consumer_id="2", data=data, expires=NOW))
    directory.add("hmac-auth", "orphan", Credential(id="1", consumer_id="2", data=data))
    for user in ("old", "orphan"):
        answer = get(app, headers=signed(sign(f"date: {DATE}", user=user)))
        assert (answer.status_code, answer.json["message"]) == (401, UNVERIFIABLE)


@pytest.mark.parametrize("user", ["bob", "unknown"])
def test_an_unknown_user_is_as_much_work_as_a_wrong_signature(user, monkeypatch):
    made = []

    def noting(secret, algorithm, text):
        made.append((len(secret) > 0, algorithm, text))
        return hmac.digest(secret, text, "sha256")

    monkeypatch.setattr(hmac_auth, "signature", noting)
    ask(signed(sign("x", user=user)))
    assert made == [(True, "hmac-sha256", f"date: {DATE}".encode())]


# -- access: the body --------------------------------------------------------------------------------------

BODY = '{"a":"apple","b":"ball"}'


def digest(text):
    return "SHA-256=" + b64encode(hashlib.sha256(text.encode()).digest()).decode()


BODIES = {
    # body, Digest -> status
    "true": (BODY, digest(BODY), 200),
    "of another body": (BODY, digest(BODY + " "), 401),
    "missing": (BODY, None, 401),
    "in small letters": (BODY, digest(BODY).replace("SHA", "sha"), 401),
    "of another kind": (BODY, "MD5=abc", 401),
    "outside ASCII": (BODY, "SHA-256=\xe9", 401),
    "empty body, true": ("", digest(""), 200),
    "empty body, missing": ("", None, 200),
    "empty body, false": ("", digest("x"), 401),
}


@pytest.mark.parametrize(("body", "given", "status"), BODIES.values(), ids=BODIES)
def test_checks_the_digest_of_the_body(body, given, status):
    headers = signed(GOOD, **({"Digest": given} if given else {}))
    answer, saw = ask(headers, {"validate_request_body": True}, method="POST", data=body)
    assert answer.status_code == status
    if saw:
        assert saw["wsgi.input"].read() == body.encode()
    else:
        assert answer.json["message"] == DIFFERENT


def test_does_not_look_at_the_digest_unless_told():
    answer, saw = ask(signed(GOOD, Digest="SHA-256=bogus"), method="POST", data=BODY)
    assert (answer.status_code, saw["wsgi.input"].read()) == (200, BODY.encode())


def test_a_body_over_the_limit_is_refused():
    app = Gateway(
        hello_app,
        {**CONSUMERS, "max_request_body": 10},
        plugins=[HMACAuth(validate_request_body=True)],
        clock=lambda: NOW,
    )
    assert ask(signed(GOOD), app=app, method="POST", data=BODY)[0].status_code == 413


# -- access: strict ----------------------------------------------------------------------------------------

LINE = "\n@request-target: post /"
NAMES = "date @request-target"
STRICT = {
    # headers, body -> message, None for 200
    "date and target": (signed(sign(f"date: {DATE}{LINE}", NAMES)), "", None),
    "request line instead": (
        signed(sign(f"date: {DATE}\nPOST / HTTP/1.1", "date request-line")),
        "",
        None,
    ),
    "digest of a body": (
        signed(sign(f"date: {DATE}{LINE}\ndigest: {digest(BODY)}", NAMES + " digest"), Digest=digest(BODY)),
        BODY,
        None,
    ),
    "digest that is false": (
        signed(sign(f"date: {DATE}{LINE}\ndigest: {digest('')}", NAMES + " digest"), Digest=digest("")),
        BODY,
        DIFFERENT,
    ),
    "digest that is not signed": (
        signed(sign(f"date: {DATE}{LINE}", NAMES), Digest=digest(BODY)),
        BODY,
        UNVERIFIABLE,
    ),
    "no digest": (signed(sign(f"date: {DATE}{LINE}", NAMES)), BODY, DIFFERENT),
    "no target": (signed(GOOD), "", UNVERIFIABLE),
    "target in a spelling that is only a header": (
        signed(sign(f"date: {DATE}\nRequest-Line:", "date Request-Line")),
        "",
        UNVERIFIABLE,
    ),
    "the date that counts is not signed": (
        {"Date": DATE, "X-Date": at(-999), "Authorization": sign(f"x-date: {at(-999)}{LINE}", "x-" + NAMES)},
        "",
        UNVERIFIABLE,
    ),
    "one of two signed dates is stale": (
        {
            "Date": DATE,
            "X-Date": at(999),
            "Authorization": sign(f"date: {DATE}\nx-date: {at(999)}{LINE}", "date x-" + NAMES),
        },
        "",
        UNVERIFIABLE,
    ),
    "no date is signed": (signed(sign(LINE[1:], "@request-target")), "", UNVERIFIABLE),
    "a date that is not there is signed": (
        {"X-Date": DATE, "Authorization": sign(f"date:{LINE}", NAMES)},
        "",
        UNVERIFIABLE,
    ),
}


@pytest.mark.parametrize(("headers", "body", "message"), STRICT.values(), ids=STRICT)
def test_strict_wants_date_target_and_body_signed(headers, body, message):
    answer, _ = ask(headers, {"strict": True}, method="POST", data=body)
    assert answer.status_code == (401 if message else 200)
    if message:
        assert answer.json["message"] == message


def test_strict_lets_a_signature_count_only_once_while_its_date_does():
    now = [NOW]
    app = app_of({"strict": True}, clock=lambda: now[0])
    for date, offset, status in (
        (300, 0, 200),
        (300, 0, 401),
        (300, 600, 401),
        (300, 601, 401),  # the date is too old by itself
        (601, 601, 200),
    ):
        now[0] = NOW + offset
        header = sign(f"date: {at(date)}\n@request-target: get /", NAMES)
        assert ask({"Date": at(date), "Authorization": header}, app=app)[0].status_code == status


def test_strict_knows_a_signature_in_another_spelling():
    app = app_of({"strict": True})
    header = sign(f"date: {DATE}\n@request-target: get /", NAMES)
    again = header.replace("hmac username", "Hmac  username").replace(", ", ",")
    assert [ask(signed(value), app=app)[0].status_code for value in (header, again)] == [200, 401]


def test_strict_remembers_only_signatures_that_are_right():
    app = app_of({"strict": True})
    header = sign(f"date: {DATE}\n@request-target: get /", NAMES)
    wrong = header.replace('username="bob"', 'username="eve"')
    assert [ask(signed(value), app=app)[0].status_code for value in (wrong, header)] == [401, 200]


def test_strict_shares_what_it_remembers_through_the_store():
    store = open_store("memory://", clock=lambda: NOW)
    header = sign(f"date: {DATE}\n@request-target: get /", NAMES)
    apps = [app_of({"strict": True, "anonymous": anonymous}, store="auto") for anonymous in (None, "no-body")]
    for app in apps:
        app.runtime.store_url = store
    answers = [ask(signed(header), app=app) for app in apps]
    assert answers[0][0].status_code == 200
    assert answers[1][1]["HTTP_X_ANONYMOUS_CONSUMER"] == "true"


def test_strict_without_a_store_lets_nobody_pass():
    class Down:
        def add(self, key, value, ttl=None):
            raise StoreError("redis://nonces", "timed out after 1 s")

    app = app_of({"strict": True, "anonymous": "no-body"})
    app.runtime.store_url = Down()
    header = sign(f"date: {DATE}\n@request-target: get /", NAMES)
    assert ask(signed(header), app=app)[0].status_code == 500


def test_without_strict_a_signature_counts_again():
    app = app_of()
    assert [ask(signed(GOOD), app=app)[0].status_code for _ in range(2)] == [200, 200]


# -- through an app ----------------------------------------------------------------------------------------


def test_the_app_is_told_the_consumer_and_the_user_but_nothing_of_a_clients_own():
    forged = {"X-Consumer-ID": "1", "X-Credential-Identifier": "root", "X-Anonymous-Consumer": "true"}
    _, saw = ask(signed(GOOD, **forged))
    told = {key[7:]: value for key, value in saw.items() if key.startswith(("HTTP_X_C", "HTTP_X_A"))}
    assert told == {
        "CONSUMER_ID": BOB["id"],
        "CONSUMER_USERNAME": "bob",
        "CONSUMER_CUSTOM_ID": "1234",
        "CREDENTIAL_IDENTIFIER": "bob",
    }


@pytest.mark.parametrize("headers", [{}, signed("hello"), signed(sign("x"))], ids=["none", "bad", "wrong"])
@pytest.mark.parametrize("anonymous", [NOBODY["id"], "no-body"], ids=["by id", "by username"])
def test_the_anonymous_consumer_stands_in(anonymous, headers):
    answer, saw = ask(headers, {"anonymous": anonymous})
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "no-body"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


def test_a_good_signature_goes_before_the_anonymous_consumer():
    _, saw = ask(signed(GOOD), {"anonymous": "no-body"})
    assert (saw["HTTP_X_CONSUMER_USERNAME"], "HTTP_X_ANONYMOUS_CONSUMER" in saw) == ("bob", False)


def test_a_missing_anonymous_consumer_is_an_error():
    answer, _ = ask({}, {"anonymous": "nowhere"})
    assert answer.status_code == 500
    assert answer.json["message"] == "anonymous consumer nowhere is configured but doesn't exist"


HIDES = {
    # Authorization, Proxy-Authorization -> what is left of them
    "the one": (GOOD, None, (None, None)),
    "the proxy's, which counts": ("hello", GOOD, ("hello", None)),
    "the other, when the proxy's is unreadable": (GOOD, "hello", (None, "hello")),
    "an unreadable one": ("hmac hello", None, (None, None)),
    "not those of others": ("Bearer abc", None, ("Bearer abc", None)),
}


@pytest.mark.parametrize(("authorization", "proxy", "left"), HIDES.values(), ids=HIDES)
def test_hides_the_signature(authorization, proxy, left):
    headers = signed(authorization, **({PROXY: proxy} if proxy else {}))
    _, saw = ask(headers, {"hide_credentials": True, "anonymous": "no-body"})
    assert (saw.get("HTTP_AUTHORIZATION"), saw.get("HTTP_PROXY_AUTHORIZATION")) == left


def test_leaves_the_signature_alone_unless_told_to_hide():
    assert ask(signed(GOOD))[1]["HTTP_AUTHORIZATION"] == GOOD


COMBINED = {
    "both": (signed(GOOD, apikey="kong"), 200, None),
    "only the key": ({"apikey": "kong"}, 401, "hmac"),
    "only the signature": (signed(GOOD), 401, "Key"),
    "neither": ({}, 401, "Key"),
}


@pytest.mark.parametrize(("headers", "status", "challenge"), COMBINED.values(), ids=COMBINED)
def test_with_key_auth_both_must_pass(headers, status, challenge):
    answer, _ = ask(headers, plugins=[KeyAuth()])
    assert (answer.status_code, answer.headers.get("WWW-Authenticate")) == (status, challenge)


def test_the_challenge_names_the_realm():
    assert ask({}, {"realm": "shop"})[0].headers["WWW-Authenticate"] == 'hmac realm="shop"'


def test_the_refusal_has_the_format_the_client_accepts():
    assert ask({"Accept": "text/html"})[0].mimetype == "text/html"


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_store_that_fails_lets_nobody_pass(config):
    class Down(MemoryDirectory):
        def credential(self, kind, key):
            raise StoreError("redis://users", "timed out after 1 s")

    app = Gateway(hello_app, plugins=[HMACAuth(**config)], consumers=Down(), clock=lambda: NOW)
    assert ask(signed(GOOD), app=app)[0].status_code == 500
