"""Whom to believe about the client."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from plugmw.schema.networks import parse_network
from plugmw.wsgi.proxies import Trusted, parse_address

ADDRESSES = {
    "1.2.3.4": "1.2.3.4",
    " 1.2.3.4 ": "1.2.3.4",
    "1.2.3.4:80": "1.2.3.4",
    "::1": "::1",
    "[::1]": "::1",
    "[::1]:80": "::1",
    "fe80::1%eth0": "fe80::1",
    "::ffff:1.2.3.4": "1.2.3.4",
    "[::ffff:1.2.3.4]:80": "1.2.3.4",
    "2001:DB8::1": "2001:db8::1",
    "": None,
    "unknown": None,
    "_hidden": None,
    "1.2.3": None,
    "1.2.3.4.5": None,
    "01.2.3.4": None,
    "[": None,
}


@pytest.mark.parametrize(("text", "address"), ADDRESSES.items(), ids=[repr(text) for text in ADDRESSES])
def test_addresses_are_read(text, address):
    assert parse_address(text) == (ip_address(address) if address else None)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_networks_are_read(text, network):
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "x", "10.0.0.0/33", "::/129"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError):
        parse_network(text)


LB, MIDDLE, CLIENT = "10.0.0.1", "10.0.0.2", "1.2.3.4"
NET = ["10.0.0.0/8"]
CLIENTS = {
    "nobody is trusted by default": (Trusted(), CLIENT, "9.9.9.9", CLIENT),
    "an untrusted peer": (Trusted(NET), CLIENT, "9.9.9.9", CLIENT),
    "a trusted peer": (Trusted(NET), LB, CLIENT, CLIENT),
    "a trusted peer that says nothing": (Trusted(NET), LB, "", LB),
    "trusted proxies are skipped from the right": (Trusted(NET), LB, f"9.9.9.9, {CLIENT}, {MIDDLE}", CLIENT),
    "what the client added on the left is not believed": (Trusted(NET), LB, f"127.0.0.1, {CLIENT}", CLIENT),
    "all are trusted": (Trusted(NET), LB, f"{MIDDLE}, 10.0.0.3", MIDDLE),
    "not recursive": (Trusted(NET, recursive=False), LB, f"{CLIENT}, {MIDDLE}", MIDDLE),
    "an address that cannot be read hides what is left of it": (Trusted(NET), LB, f"{CLIENT}, unknown", None),
    "with a port": (Trusted(NET), LB, f"{CLIENT}:1234", CLIENT),
    "IPv6": (Trusted(["::1"]), "::1", "2001:db8::1", "2001:db8::1"),
    "a mapped peer": (Trusted(NET), "::ffff:10.0.0.1", CLIENT, CLIENT),
    "a socket that is not trusted": (Trusted(NET), "", CLIENT, None),
    "a trusted socket": (Trusted(["unix:"]), "", CLIENT, CLIENT),
    "a socket among networks": (Trusted(["unix:", *NET]), "", f"{CLIENT}, {MIDDLE}", CLIENT),
    "a peer that cannot be read": (Trusted(["unix:", *NET]), "nonsense", CLIENT, None),
    "one hop": (Trusted(hops=1), LB, f"9.9.9.9, {CLIENT}", CLIENT),
    "two hops": (Trusted(hops=2), LB, f"9.9.9.9, {CLIENT}, {MIDDLE}", CLIENT),
    "fewer addresses than hops": (Trusted(hops=2), LB, CLIENT, LB),
    "no address and a hop": (Trusted(hops=1), LB, "", LB),
    "blank parts": (Trusted(NET), LB, f" , {CLIENT}, ,", CLIENT),
}


@pytest.mark.parametrize(("trusted", "peer", "forwarded", "client"), CLIENTS.values(), ids=CLIENTS)
def test_the_clients_address_is_told(trusted, peer, forwarded, client):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert trusted.client(environ) == (ip_address(client) if client else None)


def test_another_header_may_name_the_client():
    trusted = Trusted(NET, header="X-Real-IP")
    environ = {"REMOTE_ADDR": LB, "HTTP_X_FORWARDED_FOR": "9.9.9.9", "HTTP_X_REAL_IP": CLIENT}
    assert trusted.client(environ) == ip_address(CLIENT)


BASE = {"wsgi.url_scheme": "http", "SERVER_NAME": "server", "SERVER_PORT": "80"}


@pytest.mark.parametrize(
    ("trusted", "told", "scheme"),
    [
        pytest.param(Trusted(), "https", "http", id="nobody is trusted"),
        pytest.param(Trusted(NET), "https", "https", id="a trusted peer"),
        pytest.param(Trusted(NET), "http, https", "https", id="the last of two"),
        pytest.param(Trusted(NET), "HTTPS", "https", id="in capitals"),
        pytest.param(Trusted(NET), "gopher", "http", id="no scheme of HTTP"),
        pytest.param(Trusted(NET), "", "http", id="a trusted peer that says nothing"),
    ],
)
def test_the_scheme_is_told(trusted, told, scheme):
    assert trusted.scheme({**BASE, "REMOTE_ADDR": LB, "HTTP_X_FORWARDED_PROTO": told}) == scheme


@pytest.mark.parametrize(
    ("trusted", "told", "host"),
    [
        pytest.param(Trusted(), "evil.example", "host.example:81", id="nobody is trusted"),
        pytest.param(Trusted(NET), "a.example", "a.example", id="a trusted peer"),
        pytest.param(Trusted(NET), "x.example, a.example:8", "a.example:8", id="the last of two"),
        pytest.param(Trusted(NET), "", "host.example:81", id="a trusted peer that says nothing"),
    ],
)
def test_the_host_is_told(trusted, told, host):
    environ = {**BASE, "REMOTE_ADDR": LB, "HTTP_HOST": "host.example:81", "HTTP_X_FORWARDED_HOST": told}
    assert trusted.host(environ) == host


def test_a_request_without_a_host_has_the_servers():
    assert Trusted().host(BASE) == "server:80"


@pytest.mark.parametrize(
    ("trusted", "peer", "trusts"),
    [
        pytest.param(Trusted(), LB, False, id="nobody is trusted"),
        pytest.param(Trusted(hops=1), "9.9.9.9", True, id="a hop is trusted, whoever it is"),
        pytest.param(Trusted(NET), LB, True, id="inside of the network"),
        pytest.param(Trusted(NET), "9.9.9.9", False, id="outside of the network"),
    ],
)
def test_a_peer_may_speak_for_others(trusted, peer, trusts):
    assert trusted.trusts({"REMOTE_ADDR": peer}) is trusts
