"""Kong's ready-made field types."""

from __future__ import annotations

import pytest

from plugmw.schema import config, field, read, typedefs
from tests.support.openssl import self_signed


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate and its key in PEM."""
    folder = tmp_path_factory.mktemp("pem")
    self_signed(folder, "cert.pem", "key.pem", "a.example")
    return (folder / "cert.pem").read_text(), (folder / "key.pem").read_text()


GOOD = {
    "host": ["a", "a.example", "a_b.example.", "10.0.0.1", "::1", "[::1]"],
    "host_with_optional_port": ["a", "a:0", "a:65535", "[::1]:80", "[::1]", "::1"],
    "wildcard_host": ["a.example", "*.example", "shop.*", "*a"],
    "sni": ["a.example"],
    "ip": ["10.0.0.1", "::1", "[::1]"],
    "ip_or_cidr": ["10.0.0.1", "10.0.0.0/8", "::/0"],
    "cidr_v4": ["10.0.0.0/8", "10.0.0.1"],
    "path": ["/", "/a/b-c.d_e~f:@!$&'()*+,;=%20"],
    "url": ["http://a", "tcp://a:1/x"],
    "cookie_name": ["session", "a!b"],
    "header_name": ["X-A_b1"],
    "http_method": ["GET"],
    "uuid": ["5f1b2a3c-0000-4000-8000-00000000000A"],
    "tag": ["a b.c-d", "é"],
}
BAD = [
    ("host", "", "invalid value: "),
    ("host", "a b", "invalid value: a b"),
    ("host", "300.1.1.1", "invalid value: 300.1.1.1"),
    ("host", "a..b", "invalid value: a..b"),
    ("host", "-a", "invalid value: -a"),
    ("host", "a:80", "must not have a port"),
    ("host", "[::1]x", "must not have a port"),
    ("host_with_optional_port", "a:65536", "invalid port number"),
    ("host_with_optional_port", "a:x", "invalid port number"),
    ("host_with_optional_port", "/", "invalid hostname: /"),
    ("wildcard_host", "a.*.b", "wildcard must be leftmost or rightmost character"),
    ("wildcard_host", "*.a.*", "only one wildcard must be specified"),
    ("wildcard_host", "10.0.0.1", "must not be an IP"),
    ("sni", "::1", "must not be an IP"),
    ("sni", "a:1", "must not have a port"),
    ("ip", "a", "not an ip address: a"),
    ("ip_or_cidr", "10.0.0.0/33", "invalid ip or cidr range: '10.0.0.0/33'"),
    ("cidr_v4", "::/0", "invalid ipv4 cidr range: '::/0'"),
    ("path", "a", "should start with: /"),
    ("path", "//", "must not have empty segments"),
    ("path", "/a b", "invalid path: '/a b' (characters outside of the reserved list of RFC 3986 found)"),
    ("path", "/%2g", "invalid url-encoded value: '%2g'"),
    ("url", "/a", "missing host in url"),
    ("url", "//a", "missing scheme in url"),
    ("url", "http://[", "could not parse url. invalid host"),
    ("cookie_name", "a=b", "invalid cookie name 'a=b', expected a token of RFC 2616"),
    ("header_name", "a!", "bad header name 'a!', allowed characters are A-Z, a-z, 0-9, '_', and '-'"),
    ("http_method", "get", "invalid value: get"),
    ("uuid", "x", "expected a valid UUID"),
    (
        "tag",
        "a,b",
        "invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
    ),
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in GOOD.items() for text in texts])
def test_a_good_text_has_no_problem(name, text):
    assert getattr(typedefs, f"{name}_problem")(text) is None


@pytest.mark.parametrize(("name", "text", "told"), BAD)
def test_a_problem_is_told_in_kongs_words(name, text, told):
    assert getattr(typedefs, f"{name}_problem")(text) == told


def test_certificates_and_keys_are_looked_at(pair):
    certificate, key = pair
    assert typedefs.certificate_problem(certificate) is None
    assert typedefs.key_problem(key) is None
    assert typedefs.certificate_problem("x").startswith("invalid certificate: ")
    assert typedefs.certificate_problem("é").startswith("invalid certificate: ")
    assert typedefs.key_problem(certificate) == "invalid key: no key in PEM"
    assert typedefs.key_problem("-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----").startswith(
        "invalid key: "
    )


def test_an_address_may_have_brackets_and_a_port():
    assert typedefs.split_port("[::1]:80") == ("[::1]", "80")
    assert typedefs.split_port("::1") == ("::1", None)


@config
class Typed:
    method: typedefs.HTTPMethod | None = field(None, help="M.")
    protocols: typedefs.Protocols | None = field(None, help="P.")
    host: typedefs.Host | None = field(None, help="H.")
    timeout: typedefs.Timeout | None = field(None, help="T.")
    tags: typedefs.Tags | None = field(None, help="T.")


def test_they_are_field_types_of_configuration_classes():
    good = {"method": "GET", "protocols": ["http", "http"], "host": "a", "timeout": 0, "tags": ["a"]}
    made, problems = read(Typed, good)
    assert problems == []
    assert (made.protocols, made.timeout) == (["http"], 0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"method": 5}, (("method",), "got 5", "an HTTP method in capitals")),
        ({"host": "a b"}, (("host",), "got 'a b'", "a host name or address without a port")),
        ({"timeout": -1}, (("timeout",), "got -1", "milliseconds from 0 to 2147483646")),
        ({"timeout": True}, (("timeout",), "got True", "milliseconds from 0 to 2147483646")),
        ({"tags": ["a", "/"]}, (("tags", 1), "got '/'", "printable text without , and /")),
    ],
)
def test_what_is_wrong_is_told_with_its_place(data, problem):
    assert read(Typed, data)[1] == [problem]
