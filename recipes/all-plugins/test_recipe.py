"""The order is the document's, the README's session is true, and a bounded load gets right answers only."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from plugmw.configuration.plan import read_plan
from plugmw.inspection.description import show
from tests.support.transcript import check_sessions

HERE = Path(__file__).parent
#: The table of kong-plugin-handler.txt, the highest priority first.
ORDER = [
    "pre-function",
    "zipkin",
    "ip-restriction",
    "bot-detection",
    "cors",
    "jwt",
    "oauth2",
    "key-auth",
    "ldap-auth",
    "basic-auth",
    "hmac-auth",
    "request-size-limiting",
    "acl",
    "rate-limiting",
    "response-ratelimiting",
    "request-transformer",
    "response-transformer",
    "aws-lambda",
    "azure-functions",
    "prometheus",
    "http-log",
    "statsd",
    "datadog",
    "file-log",
    "udp-log",
    "tcp-log",
    "loggly",
    "syslog",
    "galileo",
    "request-termination",
    "correlation-id",
    "post-function",
]
REQUESTS = 400
WAYS = [
    ("/", {}, 200),
    ("/members", {"apikey": "alice-key"}, 200),
    ("/members", {}, 401),
    ("/closed", {}, 503),
]


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(HERE)
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("ALL_PLUGINS_LOG", str(tmp_path / "all-plugins.log"))


def test_the_order_is_that_of_the_document():
    told = show(read_plan("gateway.yaml"))
    # Entries of one route only stand at their place in that route's chain.
    ranks = {s["name"]: (-float(s["priority"]), s["name"]) for c in told["chains"] for s in c["slots"]}
    assert sorted(ranks, key=ranks.__getitem__) == ORDER
    for chain in told["chains"]:
        names = [slot["name"] for slot in chain["slots"]]
        assert names == [name for name in ORDER if name in names]


def test_answers_right_under_a_bounded_load(gunicorn, tmp_path):
    args = ["--chdir", str(HERE), "--config", str(HERE / "gunicorn.conf.py")]
    server = gunicorn("app:app", workers=2, args=args)
    check_sessions(HERE / "README.md", server.url)

    def ask(number):
        path, headers, expected = WAYS[number % len(WAYS)]
        answer = requests.get(server.url + path, headers=headers, timeout=30)
        return answer.status_code == expected, "X-Correlation-ID" in answer.headers

    with ThreadPoolExecutor(8) as pool:
        found = Counter(pool.map(ask, range(REQUESTS)))
    assert found == {(True, True): REQUESTS}
    server.stop()
    lines = (tmp_path / "all-plugins.log").read_text().splitlines()
    statuses = Counter(json.loads(line)["response"]["status"] for line in lines)
    assert sum(statuses.values()) >= REQUESTS
