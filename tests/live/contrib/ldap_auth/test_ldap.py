"""LDAP: binds to a real directory."""

from __future__ import annotations

import ssl

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.contrib.ldap_auth.ldap import Server, Unreachable, connect, escape
from tests.support.servers import PATIENCE
from tests.support.slapd import PEOPLE, UNNAMED, USERS, slapd
from tests.unit.contrib.ldap_auth.test_ldap import EINSTEIN, pool_of


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    with slapd(tmp_path_factory.mktemp("slapd")) as started:
        yield started


def server_of(directory, tls="no", host="127.0.0.1", context=None):
    port = directory.tls_port if tls == "always" else directory.port
    return Server(
        host, port, tls, context or ssl.create_default_context(cafile=directory.authority), PATIENCE
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("tls", ["no", "start", "always"])
def test_a_password_is_checked(directory, tls, host):
    with pool_of(server_of(directory, tls, host)) as pool:
        assert pool.bind(EINSTEIN, "password") is None
        assert pool.bind(EINSTEIN, "wrong").startswith("49 invalidCredentials")
        assert pool.bind(EINSTEIN, "password") is None
        assert len(pool._idle) == 1


@pytest.mark.parametrize(
    ("user", "password"), [(user, password) for _, place, user, password in USERS if place == PEOPLE]
)
def test_every_name_and_password_arrives_as_it_is(directory, user, password):
    with pool_of(server_of(directory)) as pool:
        dn = f"uid={escape(user)},{PEOPLE}"
        assert pool.bind(dn, password) is None
        assert pool.bind(dn, f"{password}x") is not None


def test_a_name_that_is_not_escaped_could_be_that_of_an_entry_elsewhere(directory):
    with pool_of(server_of(directory)) as pool:
        assert pool.bind(f"uid=marvin,ou=robots,{PEOPLE}", "password") is None
        assert pool.bind(f"uid={escape('marvin,ou=robots')},{PEOPLE}", "password") is not None


def test_an_empty_password_is_never_sent(directory):
    """The directory would say yes to it: an unauthenticated bind (RFC 4513 section 5.1.2)."""
    with pool_of(server_of(directory)) as pool, pytest.raises(Unreachable):
        pool.bind(EINSTEIN, "")


UNTRUSTED = {
    "an unknown authority": ({"context": ssl.create_default_context()}, "certificate verify failed"),
    "a certificate for another address": ({"host": UNNAMED}, "IP address mismatch"),
}


@pytest.mark.parametrize(("options", "problem"), UNTRUSTED.values(), ids=UNTRUSTED)
def test_no_password_goes_to_a_server_with(directory, options, problem):
    with (
        pool_of(server_of(directory, "always", **options)) as pool,
        pytest.raises(Unreachable, match=problem),
    ):
        pool.bind(EINSTEIN, "password")


def test_start_tls_verifies_the_certificate(directory):
    server = server_of(directory, "start", context=ssl.create_default_context())
    with pool_of(server) as pool, pytest.raises(Unreachable, match="certificate verify failed"):
        pool.bind(EINSTEIN, "password")


def test_a_certificate_need_not_be_verified(directory):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pool_of(server_of(directory, "always", UNNAMED, context)) as pool:
        assert pool.bind(EINSTEIN, "password") is None


def test_no_password_stays_in_a_connection(directory):
    link = connect(server_of(directory), Deadline.after(PATIENCE))
    assert link.bind(f"uid=colon,{PEOPLE}", "password:another", Deadline.after(PATIENCE)) is None
    link.close()
    ldap = link._ldap
    assert "another" not in repr([vars(ldap), vars(ldap.strategy), vars(ldap.server)])


def test_nothing_goes_through_a_connection_that_was_given_back(directory):
    end = Deadline.after(PATIENCE)
    link = connect(server_of(directory), end)
    link.close()
    with pytest.raises(Unreachable, match="closed"):
        link.bind(EINSTEIN, "password", end)
