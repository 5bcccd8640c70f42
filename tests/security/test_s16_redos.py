"""S16: no text of a client costs more than its length: patterns are judged when read, inputs are cut.

Steps of the pattern engine cannot be counted, so cost is compared: eight times the text may not cost much
more than eight times the time, where a pattern that goes back and tries again would cost 64 times or more.
"""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from plugmw import ConfigError, Gateway
from plugmw.contrib.bot_detection import BotDetection
from plugmw.contrib.bot_detection.crawlers import NAMES, is_crawler
from plugmw.contrib.bot_detection.plugin import KEPT, LONGEST
from plugmw.schema.patterns import LONGEST as LONGEST_VALUE
from plugmw.testing import gateway, get, hello_app

KIB = 1024


def cost(run, text):
    """Return the least CPU time of several runs, in seconds."""
    best = float("inf")
    for _ in range(5):
        begun = time.process_time()
        for _ in range(4):
            run(text)
        best = min(best, time.process_time() - begun)
    return best


def growth(run, make):
    """Return how much more eight times the text costs, over a floor that noise cannot reach."""
    floor = cost(is_crawler, "x" * (8 * KIB)) / 8
    small = max(cost(run, make(KIB)), floor)
    return cost(run, make(8 * KIB)) / small


def repeated(piece):
    return lambda size: (piece * size)[:size]


#: Texts that begin what a rule looks for again and again, or that its loops could share out in many ways.
HOSTILE = {
    "one letter": repeated("a"),
    "letters before a digit": repeated("crawl"),
    "a loop's letters": lambda size: "crawl" + "a" * size,
    "slashes": repeated("/"),
    "names with a slash": repeated("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "versions without an end": repeated("bot/v"),
    "PTST": lambda size: " PTST/" + "1" * size,
    "PTST again and again": repeated(" PTST/1."),
    "Google and no snippet": repeated("Google"),
    "blanks": repeated(" "),
    "begun names": lambda size: "".join(name[:-1] for name in NAMES * 4)[:size],
    "aws": repeated("aws-sdk-"),
    "bytes": repeated("\xff\xfe"),
    "parentheses": repeated("("),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_s16_the_default_rules_cost_what_the_length_costs(make):
    assert growth(is_crawler, make) < 24


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_s16_a_user_agent_is_cut_before_any_rule(make):
    seen = []
    plugin = BotDetection(allow=["never-there"])
    app = gateway(plugin)
    plugin._allowed.append(SimpleNamespace(longest=64 * KIB, find=lambda agent: seen.append(len(agent))))
    get(app, environ={"HTTP_USER_AGENT": make(64 * KIB)})
    assert max(seen) <= LONGEST


@pytest.mark.slow
def test_s16_verdicts_are_kept_up_to_a_number():
    plugin = BotDetection()
    app = gateway(plugin)
    for number in range(KEPT + 100):
        get(app, environ={"HTTP_USER_AGENT": f"{number} " + "x" * 100})
    assert plugin._refuses.cache_info().currsize == KEPT


# -- patterns of operators -----------------------------------------------------------------------------

UNSAFE = ["(a+)+b", "(.*,)*x", "(a|aa)*b", "([a-z]+)*1", "x.*a.*a.*a.*b"]
#: By place: a document with a pattern there.
PLACES = {
    "bot-detection, deny": lambda p: {"plugins": [{"name": "bot-detection", "config": {"deny": [p]}}]},
    "bot-detection, allow": lambda p: {"plugins": [{"name": "bot-detection", "config": {"allow": [p]}}]},
    "cors": lambda p: {"plugins": [{"name": "cors", "config": {"origins": [p, "https://b.example"]}}]},
    "a route": lambda p: {"routes": [{"name": "r", "paths": ["~" + p]}]},
    "a header": lambda p: {"plugins": [{"name": "cors", "when": {"headers": {"X": p}}}]},
    "an argument": lambda p: {"plugins": [{"name": "cors", "when": {"query": {"x": p}}}]},
}


@pytest.mark.parametrize("pattern", UNSAFE)
@pytest.mark.parametrize("place", PLACES)
def test_s16_loops_that_multiply_are_refused_when_the_configuration_is_read(place, pattern):
    with pytest.raises(ConfigError, match=r"in several ways|in too many ways"):
        Gateway(hello_app, {"store": "memory://", **PLACES[place](pattern)})


@pytest.mark.parametrize("pattern", UNSAFE)
def test_s16_so_it_is_in_the_files_of_other_gateways(pattern, tmp_path):
    kong = {
        "_format_version": "3.0",
        "services": [
            {"name": "s", "url": "http://s.example", "routes": [{"name": "r", "paths": ["~/" + pattern]}]}
        ],
    }
    with pytest.raises(ConfigError, match=r"in several ways|in too many ways"):
        Gateway(hello_app, kong, dialect="kong")
    listed = {"go_plugin": [{"path": pattern, "method": "GET", "plugin_path": "p.py", "func_name": "F"}]}
    versions = {"v": {"name": "v", "use_extended_paths": True, "extended_paths": listed}}
    tyk = {
        "name": "a",
        "api_id": "a",
        "use_keyless": True,
        "proxy": {"listen_path": "/a/", "target_url": "http://s.example"},
        "version_data": {"not_versioned": True, "versions": versions},
    }
    with pytest.raises(ConfigError, match=r"in several ways|in too many ways"):
        Gateway(hello_app, tyk, dialect="tyk")
    tyk["version_data"]["versions"] = {}
    tyk["proxy"]["listen_path"] = "/{x:" + pattern + "}/"
    with pytest.raises(ConfigError, match=r"in several ways|in too many ways"):
        Gateway(hello_app, tyk, dialect="tyk")


def test_s16_krakend_has_no_patterns_that_clients_are_matched_against():
    from pathlib import Path

    import plugmw.dialects.krakend as krakend

    # Parameters are found segment by segment, in a tree; what is compiled there is plugmw's own.
    for path in Path(krakend.__file__).parent.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"re\.(?:compile|match|search|fullmatch|sub)\((?!\s*r?f?[\"'])", text), path.name


# -- values that are too long --------------------------------------------------------------------------

#: (a condition, a request with a value of a length, the status of one that is not too long).
GUARDS = {
    "headers": ({"headers": {"X-A": ".?b"}}, lambda size: {"headers": {"X-A": "a" * size}}, 200),
    "negated": (
        {"headers": {"X-A": "a*"}, "negate": True},
        lambda size: {"headers": {"X-A": "a" * size}},
        200,
    ),
    "query": ({"query": {"q": ".?b"}}, lambda size: {"query_string": "q=" + "a" * size}, 200),
    "a path beside": (
        {"paths": ["/"], "query": {"q": "a*"}},
        lambda size: {"query_string": "q=" + "a" * size},
        403,
    ),
}


@pytest.mark.parametrize(("when", "request_", "fitting"), GUARDS.values(), ids=GUARDS)
def test_s16_an_entry_applies_to_a_value_that_is_too_long_to_be_looked_at(when, request_, fitting):
    entry = {"name": "request-termination", "config": {"status_code": 403}, "when": when}
    client = Client(Gateway(hello_app, {"store": "memory://", "plugins": [entry]}))
    assert client.get("/", **request_(LONGEST_VALUE)).status_code == fitting
    assert client.get("/", **request_(LONGEST_VALUE + 1)).status_code == 403


def test_s16_a_path_that_is_too_long_for_a_pattern_is_refused():
    routes = [{"name": "r", "paths": ["~/a+$"]}]
    app = Gateway(hello_app, {"store": "memory://", "routes": routes})
    assert Client(app).get("/" + "a" * (LONGEST_VALUE - 1)).status_code == 200
    assert Client(app).get("/" + "a" * LONGEST_VALUE).status_code == 400
    plain = Gateway(hello_app, {"store": "memory://", "routes": [{"name": "r", "paths": ["/a"]}]})
    assert Client(plain).get("/" + "a" * LONGEST_VALUE).status_code == 200
