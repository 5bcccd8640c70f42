"""Workers that are replaced, ended or killed under load, forks after threads, and clocks that jump."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from plugmw import Gateway
from plugmw.testing import get, hello_app
from tests.security.gates import signed
from tests.support.clock import Clock
from tests.support.tokens import SECRET, token

# -- clocks -------------------------------------------------------------------------------------------


#: An hour either way, a second too many, a second twice, and what a wrong time zone makes of a clock.
JUMPS = {"hour on": 3600, "hour back": -3600, "leap second on": 1, "leap second back": -1, "zone": 50_400}
WINDOWS = {"second": 1, "minute": 60, "hour": 3600}


@pytest.mark.parametrize("period", WINDOWS)
@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("store", ["memory://", "file://{}/counters"])
def test_a_jump_of_the_clock_locks_nobody_out_for_over_a_window(store, jump, period, tmp_path):
    clock = Clock()
    limit = {"name": "rate-limiting", "config": {period: 5, "limit_by": "ip"}}
    document = {"store": store.format(tmp_path), "plugins": [limit]}
    app = Gateway(hello_app, document, clock=clock)

    def status():
        answer = get(app, environ={"REMOTE_ADDR": "192.0.2.1"})
        assert 0 <= int(answer.headers[f"X-RateLimit-Remaining-{period.title()}"]) <= 5
        assert 0 <= int(answer.headers["RateLimit-Reset"]) <= WINDOWS[period]
        return answer.status_code

    assert [status() for _ in range(6)] == [200] * 5 + [429]
    clock.now += JUMPS[jump]
    at_once = status()
    clock.now += WINDOWS[period]
    assert 200 in (at_once, status())
    app.stop()


def authenticated(name, config, credential, clock):
    consumers = [{"username": "alice", **credential}]
    document = {"store": "memory://", "consumers": consumers, "plugins": [{"name": name, "config": config}]}
    return Gateway(hello_app, document, clock=clock)


@pytest.mark.parametrize(("jump", "status"), [(0, 200), (3600, 401), (-3600, 401)])
def test_a_token_is_judged_by_the_clock_of_the_wall_without_any_slack(jump, status):
    clock = Clock()
    made = authenticated(
        "jwt",
        {"claims_to_verify": ["exp", "nbf"]},
        {"jwt_secrets": [{"key": "key", "secret": SECRET}]},
        clock,
    )
    claims = {"iss": "key", "exp": int(clock.now) + 60, "nbf": int(clock.now) - 60}
    clock.now += jump
    assert get(made, headers={"Authorization": f"Bearer {token(claims)}"}).status_code == status


@pytest.mark.parametrize(
    ("jump", "status"),
    [(0, 200), (299, 200), (-299, 200), (301, 401), (-301, 401), (3600, 401), (-3600, 401)],
)
def test_a_signature_is_judged_by_the_clock_of_the_wall_within_its_skew(jump, status):
    clock = Clock()
    made = authenticated(
        "hmac-auth", {}, {"hmacauth_credentials": [{"username": "alice", "secret": "s"}]}, clock
    )
    date = f"Date: {formatdate(clock.now, usegmt=True)}"
    clock.now += jump
    headers = dict(line.split(": ", 1) for line in (date, signed("", date, secret="s")))
    assert get(made, headers=headers).status_code == status
