"""ip-restriction: configuration, the decision, and through an app."""

from __future__ import annotations

import pytest

from plugmw import ConfigError
from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.testing import get

LOCAL = {"REMOTE_ADDR": "127.0.0.1"}


def test_refuses_a_configuration_without_allow_and_deny():
    with pytest.raises(ConfigError, match="at least one of these fields must be non-empty"):
        IPRestriction()


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/x", "host", ""])
def test_refuses_an_entry_that_is_no_network(entry):
    with pytest.raises(ConfigError, match=r"deny\[0\]: got"):
        IPRestriction(deny=[entry])


@pytest.mark.parametrize("status", [200, 399, 600, True, "403"])
def test_refuses_a_status_that_is_no_error_status(status):
    with pytest.raises(ConfigError, match="status: got"):
        IPRestriction(deny=["10.0.0.0/8"], status=status)


CASES = {
    "denied": ({"deny": ["127.0.0.0/24"]}, "127.0.0.1", 403),
    "not denied": ({"deny": ["127.0.0.0/24"]}, "127.0.1.1", 200),
    "allowed": ({"allow": ["127.0.0.1"]}, "127.0.0.1", 200),
    "not allowed": ({"allow": ["127.0.0.1"]}, "127.0.0.2", 403),
    "deny wins over the narrower allow": ({"allow": ["10.0.0.1"], "deny": ["10.0.0.0/8"]}, "10.0.0.1", 403),
    "host bits are allowed": ({"deny": ["127.0.0.1/8"]}, "127.9.9.9", 403),
    "overlapping ranges are one": ({"deny": ["10.0.0.0/8", "10.1.0.0/16", "11.0.0.0/8"]}, "10.200.0.1", 403),
    "first address of a range": ({"deny": ["10.0.0.0/8"]}, "10.0.0.0", 403),
    "last address of a range": ({"deny": ["10.0.0.0/8"]}, "10.255.255.255", 403),
    "behind the last address": ({"deny": ["10.0.0.0/8"]}, "11.0.0.0", 200),
    "IPv6 on all 128 bits": ({"deny": ["fe80::1"]}, "fe80::1:0:0:1", 200),
    "zone is cut": ({"deny": ["fe80::/8"]}, "fe80::1%eth0", 403),
    "0.0.0.0/0 is IPv4 only": ({"deny": ["0.0.0.0/0"]}, "2001:db8::1", 200),
    "::/0 is IPv6 only": ({"deny": ["::/0"]}, "10.0.0.1", 200),
    "IPv6 client against IPv4 allow": ({"allow": ["0.0.0.0/0"]}, "2001:db8::1", 403),
    "allow everything of IPv4": ({"allow": ["0.0.0.0/0"]}, "127.0.0.1", 200),
    "allow everything of IPv6": ({"allow": ["::/0"]}, "::1", 200),
    "deny wins over the same IPv6 address": ({"allow": ["::1/128"], "deny": ["::1"]}, "::1", 403),
    "IPv6 range with host bits": ({"deny": ["fe80::/8"]}, "fe80::1", 403),
    "outside an IPv6 range with host bits": ({"deny": ["fe80::/8"]}, "2001:db8::1", 200),
    "mapped address is IPv4": ({"deny": ["10.0.0.0/8"]}, "::ffff:10.0.0.1", 403),
    "mapped range is IPv4": ({"deny": ["::ffff:10.0.0.0/104"]}, "10.0.0.1", 403),
    "unparsable address": ({"deny": ["10.0.0.0/8"]}, "nonsense", 403),
    "no address": ({"deny": ["10.0.0.0/8"]}, "", 403),
}


@pytest.mark.slow
@pytest.mark.parametrize(("config", "address", "status"), CASES.values(), ids=CASES)
def test_decides_by_address(config, address, status):
    assert get(IPRestriction(**config), environ={"REMOTE_ADDR": address}).status_code == status


def test_refusal_names_the_address_that_was_judged():
    answer = get(IPRestriction(deny=["127.0.0.1"]), environ=LOCAL)
    assert answer.json["message"] == "IP address not allowed: 127.0.0.1"


def test_refusal_uses_the_configured_status_and_message():
    answer = get(IPRestriction(deny=["127.0.0.1"], status=401, message="Go <away>"), environ=LOCAL)
    assert (answer.status_code, answer.json["message"]) == (401, "Go <away>")


def test_refusal_in_html_escapes_the_message():
    plugin = IPRestriction(deny=["127.0.0.1"], message="Go <away>")
    answer = get(plugin, environ=LOCAL, headers={"Accept": "text/html"})
    assert "Go &lt;away&gt;" in answer.text


def test_forwarding_headers_of_an_untrusted_peer_do_not_count():
    plugin = IPRestriction(deny=["127.0.0.1"])
    answer = get(plugin, environ=LOCAL, headers={"X-Forwarded-For": "8.8.8.8", "X-Real-IP": "8.8.8.8"})
    assert answer.status_code == 403


def test_forwarding_header_of_a_trusted_peer_counts():
    plugin = IPRestriction(deny=["8.8.8.8"])
    headers = {"X-Forwarded-For": "9.9.9.9, 8.8.8.8, 127.0.0.3"}
    answer = get(plugin, {"trusted": ["127.0.0.0/8"]}, environ=LOCAL, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-Forwarded-For", "127.0.0.3", 200),
        ("X-Forwarded-For", "127.0.0.4", 403),
        ("X-Forwarded-For", "127.0.0.4, 127.0.0.3", 403),
        ("X-Real-IP", "127.0.0.4", 403),
        (None, None, 200),
    ],
    ids=["other", "denied", "the leftmost when all are trusted", "another header", "no header"],
)
def test_everybody_may_be_trusted(header, value, status):
    config = {"trusted": ["0.0.0.0/0", "::/0"], "real_ip_header": header or "X-Real-IP"}
    answer = get(
        IPRestriction(deny=["127.0.0.4"]), config, environ=LOCAL, headers={header: value} if header else {}
    )
    assert answer.status_code == status


def test_app_is_not_called_when_refused():
    calls = []
    get(IPRestriction(deny=["127.0.0.1"]), environ=LOCAL, app=lambda *a: calls.append(a))
    assert calls == []
