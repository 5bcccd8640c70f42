"""bot-detection: configuration, the order of the rules, and through an app."""

from __future__ import annotations

import pytest

from plugmw import ConfigError, Entry
from plugmw.contrib.bot_detection import BotDetection
from plugmw.contrib.bot_detection.plugin import KEPT, LONGEST
from plugmw.testing import gateway, get
from tests.support.wsgi import environ_of, serve

CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
GOOGLE = "Googlebot/2.1 (+http://www.google.com/bot.html)"


def status(agent, **config):
    return get(BotDetection(**config), environ={"HTTP_USER_AGENT": agent}).status_code


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "does not compile": ({"allow": ["fine", "("]}, "allow[1]: not a valid regex: ( "),
    "could take for ever": ({"deny": ["(a+)+b"]}, "deny[0]: not a safe regex: (a+)+b "),
    "empty": ({"deny": [""]}, "deny[0]: got ''"),
    "no list": ({"deny": "curl"}, "deny: got 'curl', expected a list of strings"),
    "older spelling": ({"whitelist": []}, 'unknown field "whitelist"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        BotDetection(**config)
    assert message in str(caught.value)


def test_cannot_be_limited_to_a_consumer():
    with pytest.raises(ConfigError, match="bot-detection cannot be limited to a consumer"):
        gateway(Entry(BotDetection(), consumer="bob"), consumers=[{"username": "bob"}])


# -- access -------------------------------------------------------------------------------------------

CASES = {
    "person": (CHROME, {}, 200),
    "curl": ("curl/7.43.0", {}, 200),
    "unknown": ("HelloWorld", {}, 200),
    "empty": ("", {"deny": ["^$|x"]}, 403),
    "empty without rules for it": ("", {}, 200),
    "crawler": (GOOGLE, {}, 403),
    "allowed crawler": (GOOGLE, {"allow": ["^Googlebot/"]}, 200),
    "allow is looked at first": (GOOGLE, {"allow": ["google"], "deny": ["Googlebot"]}, 200),
    "allow exempts, it is no list of all": ("HelloWorld", {"allow": ["Other"]}, 200),
    "denied": ("HelloWorld/1.0", {"deny": ["x", "World"]}, 403),
    "patterns keep their case": ("helloworld", {"deny": ["HelloWorld"]}, 200),
    "white space around it is no part of it": ("  HelloWorld\t", {"deny": ["^HelloWorld$"]}, 403),
    "comma is no second field": (f"{CHROME}, {CHROME}", {}, 200),
    "what is behind the cut is not looked at": ("a" * LONGEST + GOOGLE, {}, 200),
    "what is before the cut is": ("a" * (LONGEST - len(GOOGLE)) + GOOGLE + "a", {}, 403),
}


@pytest.mark.parametrize(("agent", "config", "wanted"), CASES.values(), ids=CASES)
def test_decides(agent, config, wanted):
    assert status(agent, **config) == wanted


def test_passes_clients_without_a_user_agent():
    assert serve(gateway(BotDetection(deny=[".*"])), environ_of()).status == "200 OK"


@pytest.mark.slow
def test_keeps_a_bounded_number_of_verdicts():
    plugin = BotDetection()
    wrapped = gateway(plugin)
    for number in range(KEPT + 10):
        get(wrapped, environ={"HTTP_USER_AGENT": f"agent {number}"})
    info = plugin._refuses.cache_info()
    assert (info.currsize, info.misses) == (KEPT, KEPT + 10)


# -- through an app -----------------------------------------------------------------------------------


def test_refusal_says_forbidden_in_the_format_the_client_accepts():
    answer = get(BotDetection(), environ={"HTTP_USER_AGENT": GOOGLE})
    assert (answer.status, answer.json["message"]) == ("403 Forbidden", "Forbidden")
    assert len(answer.json["request_id"]) == 32
    answer = get(BotDetection(), environ={"HTTP_USER_AGENT": GOOGLE, "HTTP_ACCEPT": "text/html"})
    assert "<p>Forbidden.</p>" in answer.text


def test_app_is_not_called_when_refused():
    calls = []
    get(BotDetection(), environ={"HTTP_USER_AGENT": GOOGLE}, app=lambda *a: calls.append(a))
    assert calls == []
