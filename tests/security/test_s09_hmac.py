"""S9: a signature covers what it must, over what the app reads, for a short time, and once."""

from __future__ import annotations

import hashlib
from base64 import b64encode

from plugmw import Gateway
from plugmw.contrib.hmac_auth import HMACAuth
from plugmw.kernel.plugin import Plugin
from plugmw.testing import get, hello_app
from tests.security.gates import CONSUMERS, digest_line, signed

BODY = b'{"amount": 10}'


def gateway(config, plugins=(), now=lambda: 1_700_000_000):
    return Gateway(
        hello_app,
        {"consumers": CONSUMERS, "store": "memory://"},
        plugins=[HMACAuth(**config), *plugins],
        clock=now,
    )


DATE = "Date: Tue, 14 Nov 2023 22:13:20 GMT"


def ask(app, *lines, body=BODY):
    headers = dict(line.split(": ", 1) for line in (*lines, signed("post /", *lines)))
    return get(app, headers=headers, method="POST", data=body).status_code


def test_s9_strict_forgets_a_signature_not_before_its_date_is_refused():
    times = [1_700_000_000]
    app = gateway({"strict": True, "clock_skew": 60}, now=lambda: times[0])
    lines = (DATE, digest_line(BODY))
    found = []
    for offset in (-61, -60, 0, 60, 61, 1000, -60, 0):
        times[0] = 1_700_000_000 + offset
        found.append(ask(app, *lines))
    # Refused for its date, taken, then never again, also when the clock goes back.
    assert found == [401, 200, *[401] * 6]


def test_s9_skew_is_absolute_for_future_and_past():
    for offset, status in ((-301, 401), (-300, 200), (300, 200), (301, 401), (1e6, 401), (-1e6, 401)):
        app = gateway({}, now=lambda offset=offset: 1_700_000_000 - offset)
        assert ask(app, DATE) == status, offset


def test_s9_an_enforced_date_cannot_be_replaced_by_the_other_one():
    old, new = "Date: Tue, 14 Nov 2023 20:00:00 GMT", "X-Date: Tue, 14 Nov 2023 22:13:20 GMT"
    assert ask(gateway({"enforce_headers": ["date"]}), DATE) == 200
    assert ask(gateway({"enforce_headers": ["date"]}), old, new) == 401
    assert ask(gateway({"enforce_headers": ["x-date"]}), old, new) == 200
    assert ask(gateway({"enforce_headers": ["date", "x-date"]}), old, new) == 200
    # Nothing enforced is Kong's default: either date is enough.
    assert ask(gateway({}), old, new) == 200


def test_s9_a_plugin_that_changed_the_body_before_is_seen_by_the_digest():
    class Changing(Plugin):
        name, priority = "changing", 5000

        def access(self, x):
            x.read_body()
            x.replace_body(b"changed")

    config = {"validate_request_body": True, "enforce_headers": ["date", "@request-target", "digest"]}
    app = gateway(config, [Changing()])
    # What the app would read is not what was signed.
    assert ask(app, DATE, digest_line(BODY)) == 401
    assert ask(app, DATE, digest_line(b"changed")) == 200


def test_s9_strict_needs_the_digest_of_a_body_and_its_signature():
    app = gateway({"strict": True})
    unsigned = {"Digest": f"SHA-256={b64encode(hashlib.sha256(BODY).digest()).decode()}"}
    headers = dict(line.split(": ", 1) for line in (DATE, signed("post /", DATE)))
    assert get(app, headers=headers, method="POST", data=BODY).status_code == 401
    assert get(app, headers={**headers, **unsigned}, method="POST", data=BODY).status_code == 401
    assert get(app, headers=headers, method="POST").status_code == 200
