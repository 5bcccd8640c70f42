"""Which certificate a handshake gets: by name, by plugin, by default."""

from __future__ import annotations

import os
import ssl

import pytest

from plugmw.configuration import certificates
from plugmw.configuration.certificates import CertificateConfig, Certificates, Hello, choose
from plugmw.errors import ConfigErrors
from plugmw.gateway import Gateway
from plugmw.kernel.order import Entry
from plugmw.testing import gateway, hello_app
from tests.support.openssl import self_signed
from tests.support.plugins import made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates made by openssl: a.pem with a.key, b.pem with b.key."""
    found = tmp_path_factory.mktemp("certificates")
    for name in "ab":
        self_signed(found, f"{name}.pem", f"{name}.key", f"{name}.example")
    return found


@pytest.fixture
def pair(folder):
    def files(name, text=False):
        paths = folder / f"{name}.pem", folder / f"{name}.key"
        return tuple(path.read_text() if text else str(path) for path in paths)

    return files


def item(pair, *snis):
    return {"cert": pair[0], "key": pair[1], "snis": list(snis)}


def asked(gateways, name):
    return choose(Hello(name), gateways if isinstance(gateways, list) else [gateways])


def test_files_texts_and_contexts_are_certificates(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for given in (pair("a"), pair("a", text=True), (pair("a")[0], pair("a", text=True)[1]), context):
        found = asked(gateway(made("x", certificate=lambda hello, given=given: given)), "a.example")
        assert isinstance(found, ssl.SSLContext)
        assert (found is context) == (given is context)


def test_a_context_is_made_once_and_again_for_a_file_that_was_written_anew(pair):
    cert, key = pair("a")
    first = certificates.context(cert, key)
    assert certificates.context(cert, key) is first
    os.utime(cert, (1, 1))
    assert certificates.context(cert, key) is not first


def test_the_key_is_in_no_file_that_stays(pair, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    certificates.context(*pair("b", text=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("a.example", "exact"),
        ("A.Example", "exact"),
        ("x.a.example", "left"),
        ("y.x.a.example", "left"),
        ("shop.test", "right"),
        ("other.test", "any"),
        (None, "any"),
    ],
)
def test_the_narrowest_name_wins(name, wanted):
    names = {"any": ["*"], "right": ["shop.*"], "left": ["*.a.example"], "exact": ["b", "a.example"]}
    listed = [CertificateConfig(cert=key, key="", snis=snis) for key, snis in names.items()]
    assert Certificates(listed).certificate(Hello(name))[0] == wanted


def test_a_name_that_is_nobodys_leaves_the_servers_own(pair):
    found = gateway(certificates=[item(pair("a"), "a.example")])
    assert asked(found, "b.example") is None
    assert asked(found, None) is None
    assert asked(gateway(), "a.example") is None
    assert asked([gateway(), found], "a.example") is certificates.context(*pair("a"))


def test_plugins_are_asked_before_the_list_the_highest_first(pair):
    seen = []

    def chooser(name, result):
        def certificate(hello):
            seen.append((name, hello.server_name))
            return result

        return certificate

    found = gateway(
        made("low", 1, certificate=chooser("low", pair("b"))),
        made("high", 9, certificate=chooser("high", None)),
        certificates=[item(pair("a"), "a.example")],
    )
    assert asked(found, "a.example") is certificates.context(*pair("b"))
    assert seen == [("high", "a.example"), ("low", "a.example")]


def test_only_global_entries_that_are_on_are_asked(pair):
    def never(hello):
        raise AssertionError("asked")

    entries = [
        Entry(made("routed", certificate=never), route="r"),
        Entry(made("off", certificate=never), enabled=False),
        Entry(made("conditional", certificate=never), when=lambda x: True),
        Entry(made("broken", certificate=never, init_worker=lambda: 1 / 0)),
    ]
    assert asked(gateway(*entries, routes=[{"name": "r", "paths": ["/"]}]), "a") is None


@pytest.mark.parametrize(
    "result", [ValueError("no"), ("/nowhere", "/nowhere"), 5], ids=["raises", "no file", "odd"]
)
def test_a_plugin_that_fails_leaves_the_servers_own_and_is_logged(result, pair, caplog):
    def certificate(hello):
        if isinstance(result, Exception):
            raise result
        return result

    found = gateway(made("bad", certificate=certificate), certificates=[item(pair("a"), "*")])
    assert asked(found, "a.example") is None
    assert "bad failed in certificate ('a.example')" in caplog.text


def test_plugins_are_started_before_they_are_asked():
    started = []
    found = gateway(
        made("x", init_worker=lambda: started.append(1), certificate=lambda hello: started.append(2))
    )
    asked(found, None)
    assert started == [1, 2]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"cert": "/nowhere"}, "certificates[0].cert: cannot be loaded with its key: [Errno 2] No such file"),
        ({"snis": ["a b"]}, "certificates[0].snis[0]: got 'a b', expected a host name, one * at either end"),
        ({"key": 5}, "certificates[0].key: got a secret value, expected a string"),
    ],
)
def test_a_certificate_that_is_none_is_found_out_when_it_is_read(change, text, pair):
    with pytest.raises(ConfigErrors) as caught:
        Gateway(hello_app, {"certificates": [{**item(pair("a"), "a"), **change}]})
    assert str(caught.value).startswith(text)


def test_a_key_of_another_certificate_is_found_out(pair):
    with pytest.raises(ConfigErrors, match="cannot be loaded with its key"):
        gateway(certificates=[{"cert": pair("a")[0], "key": pair("b")[1]}])


def test_certificates_cost_requests_nothing(pair):
    made = gateway(certificates=[item(pair("a"), "*")], identity_headers="keep")
    made.start()
    assert made._run is hello_app
