"""S28: who has answered is the last one in access; header_filter, body_filter and log run all the same."""

from __future__ import annotations

import random

import pytest

from plugmw import Entry, Gateway
from plugmw.contrib.cors import Cors
from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.contrib.key_auth import KeyAuth
from plugmw.kernel.plugin import Plugin
from plugmw.sources import bundled
from plugmw.testing import get, hello_app
from tests.support.wsgi import environ_of, serve


def noting(journal, name, rank, how=None):
    """Return a plugin that notes its phases; ``how`` it ends the request in access."""

    def note(phase):
        def run(self, x, *given):
            journal.append((phase, name))
            if phase == "access" and how is not None:
                how(x)
            return given[0] if given else None

        return run

    phases = ("access", "header_filter", "body_filter", "log")
    members = {phase: note(phase) for phase in phases}
    return type("Noting", (Plugin,), {"name": name, "priority": rank, **members})()


def raise_(x):
    raise RuntimeError("x")


WAYS = {
    "exit": (lambda x: x.exit(403, "no"), 403),
    "exit without body": (lambda x: x.exit(204), 204),
    "fail": (lambda x: x.fail(401), 401),
    "raise": (raise_, 500),
    "hand over": (lambda x: x.delegate(hello_app), 200),
}


@pytest.mark.parametrize(("how", "status"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("place", range(5))
def test_s28_nobody_below_the_one_who_answers_runs_in_access_but_all_see_the_answer(how, status, place):
    journal, ranks, reached = [], [50, 40, 30, 20, 10], []

    def app(environ, start_response):
        reached.append(1)
        return hello_app(environ, start_response)

    plugins = [noting(journal, f"p{n}", rank, how if n == place else None) for n, rank in enumerate(ranks)]
    random.Random(place).shuffle(plugins)
    result = serve(Gateway(app, plugins=plugins), environ_of())
    assert (int(result.status[:3]), reached) == (status, [])
    ran = {phase: [name for seen, name in journal if seen == phase] for phase in dict(journal)}
    every = [f"p{n}" for n in range(5)]
    assert ran["access"] == every[: place + 1]
    assert (ran["header_filter"], ran["log"]) == (every, every)
    if status != 204:
        assert list(dict.fromkeys(ran["body_filter"])) == every


@pytest.mark.parametrize(("how", "status"), WAYS.values(), ids=WAYS)
def test_s28_an_entry_moved_by_the_document_keeps_the_rule(how, status):
    journal = []
    first, second = noting(journal, "first", 1), noting(journal, "second", 9000, how)
    result = serve(Gateway(hello_app, plugins=[Entry(first, before=["second"]), second]), environ_of())
    assert int(result.status[:3]) == status
    assert [name for phase, name in journal if phase == "access"] == ["first", "second"]
    journal.clear()
    serve(Gateway(hello_app, plugins=[Entry(first, after=["second"]), Entry(second)]), environ_of())
    assert [name for phase, name in journal if phase == "access"] == ["second"]


#: The order of Kong's own plugins, which this order of guards is part of.
GUARDS = [
    *("pre-function", "ip-restriction", "bot-detection", "cors", "jwt", "oauth2", "key-auth", "ldap-auth"),
    *("basic-auth", "hmac-auth", "request-size-limiting", "acl", "rate-limiting", "response-ratelimiting"),
    *("request-transformer", "response-transformer", "aws-lambda", "azure-functions", "request-termination"),
]


def test_s28_guards_come_before_what_they_guard_with_the_bundled_priorities():
    ranks = [bundled.find(name).priority for name in GUARDS]
    assert ranks == sorted(ranks, reverse=True)
    assert len(set(ranks)) == len(ranks)


PREFLIGHT = {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"}


def preflight(address, plugins, headers=PREFLIGHT):
    saw = []
    answer = get(
        Gateway(hello_app, plugins=plugins),
        method="OPTIONS",
        headers=headers,
        environ={"REMOTE_ADDR": address, "plugmw.testing.saw": saw},
    )
    return answer, saw


def test_s28_a_preflight_does_not_skip_ip_restriction():
    plugins = [Cors(origins=["https://shop.example"]), IPRestriction(deny=["10.0.0.1"]), KeyAuth()]
    answer, saw = preflight("10.0.0.1", plugins)
    assert (answer.status_code, saw) == (403, [])
    # Nor does cors, whose access did not run, answer for it; its headers let the page read the refusal.
    assert "Access-Control-Allow-Methods" not in answer.headers
    answer, saw = preflight("10.0.0.2", plugins)
    assert (answer.status_code, saw) == (200, [])
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_s28_a_preflight_never_reaches_the_app_behind_authentication():
    # Passed on (preflight_continue), it meets the plugins below cors like any other request.
    plugins = [Cors(origins=["*"], preflight_continue=True), KeyAuth()]
    answer, saw = preflight("10.0.0.2", plugins)
    assert (answer.status_code, saw) == (401, [])
    # And OPTIONS that is no preflight too.
    answer, saw = preflight(
        "10.0.0.2", [Cors(origins=["*"]), KeyAuth()], headers={"Origin": "https://a.example"}
    )
    assert (answer.status_code, saw) == (401, [])
