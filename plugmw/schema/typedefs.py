"""Kong's ready-made field types (``kong/db/schema/typedefs.lua``) for configuration classes.

    host: Host | None = field(None, help="Where it is.")

Those that :mod:`plugmw.schema.fields` has (Port, URL, HeaderName, URLPath) are not repeated here. Each type
has a function beside it that tells in Kong's words what is wrong with a text, None if nothing is.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from plugmw.schema.declaring import Kind

PROTOCOLS: Final = ("grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss")
HTTP_PROTOCOLS: Final = ("grpc", "grpcs", "http", "https")
#: Milliseconds, 2**31 - 2.
MAX_TIMEOUT: Final = 2147483646

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]*[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?").fullmatch
_NUMERIC: Final = re.compile(r"[0-9.]+").fullmatch
_PATH: Final = re.compile(r"/[A-Za-z0-9.\-_~/%:@!$&'()*+,;=]*").fullmatch
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}").search
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.I).fullmatch
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_HEADER: Final = re.compile(r"[A-Za-z0-9_\-]+").fullmatch
_METHOD: Final = re.compile(r"[A-Z]+").fullmatch
_TAG: Final = re.compile(r"[ !-+\-.0-~\x80-\U0010ffff]+").fullmatch
_PEM: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")

Problem = Callable[[str], "str | None"]


def is_address(text: str) -> bool:
    """Say whether ``text`` is an IP address, IPv6 with or without brackets."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def split_port(text: str) -> tuple[str, str | None]:
    """Split ``host:port``; an IPv6 address needs brackets to have a port."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        return host + bracket, rest[1:] if rest.startswith(":") else (rest or None)
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, port
    return text, None


def _is_name(text: str) -> bool:
    return _NAME(text) is not None and not _NUMERIC(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text) <= 65535


def host_problem(text: str) -> str | None:
    name, port = split_port(text)
    if not (_is_name(name) or is_address(name)):
        return f"invalid value: {text}"
    return "must not have a port" if port is not None else None


def host_with_optional_port_problem(text: str) -> str | None:
    name, port = split_port(text)
    if not (_is_name(name) or is_address(name)):
        return f"invalid hostname: {text}"
    return "invalid port number" if port is not None and not _is_port(port) else None


def sni_problem(text: str) -> str | None:
    problem = host_problem(text)
    return problem or ("must not be an IP" if is_address(text) else None)


def wildcard_host_problem(text: str) -> str | None:
    if text.count("*") > 1:
        return "only one wildcard must be specified"
    if "*" in text.strip("*"):
        return "wildcard must be leftmost or rightmost character"
    return sni_problem(text.replace("*", "wildcard"))


def ip_problem(text: str) -> str | None:
    return None if is_address(text) else f"not an ip address: {text}"


def ip_or_cidr_problem(text: str) -> str | None:
    return None if _network_version(text) else f"invalid ip or cidr range: '{text}'"


def cidr_v4_problem(text: str) -> str | None:
    return None if _network_version(text) == 4 else f"invalid ipv4 cidr range: '{text}'"


def _network_version(text: str) -> int:
    try:
        return ip_network(text, strict=False).version
    except ValueError:
        return 0


def path_problem(text: str) -> str | None:
    if not text.startswith("/"):
        return "should start with: /"
    if "//" in text:
        return "must not have empty segments"
    if not _PATH(text):
        return f"invalid path: '{text}' (characters outside of the reserved list of RFC 3986 found)"
    bad = _BAD_ESCAPE(text)
    return f"invalid url-encoded value: '{bad.group()}'" if bad else None


def url_problem(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        named = parts.hostname
    except ValueError:
        return "could not parse url. invalid host"
    if not named:
        return "missing host in url"
    return None if parts.scheme else "missing scheme in url"


def cookie_name_problem(text: str) -> str | None:
    return None if _TOKEN(text) else f"invalid cookie name '{text}', expected a token of RFC 2616"


def header_name_problem(text: str) -> str | None:
    if _HEADER(text):
        return None
    return f"bad header name '{text}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"


def http_method_problem(text: str) -> str | None:
    return None if _METHOD(text) else f"invalid value: {text}"


def uuid_problem(text: str) -> str | None:
    return None if _UUID(text) else "expected a valid UUID"


def tag_problem(text: str) -> str | None:
    if _TAG(text):
        return None
    return f"invalid tag '{text}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"


def certificate_problem(text: str) -> str | None:
    """Parse PEM certificates really, by OpenSSL."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, TypeError) as error:
        return f"invalid certificate: {error}"
    return None


def key_problem(text: str) -> str | None:
    """Look at the frame of a PEM key: whether it fits its certificate shows when both are loaded."""
    frame = _PEM.search(text)
    if frame is None or not frame[1].endswith("KEY"):
        return "invalid key: no key in PEM"
    try:
        base64.b64decode("".join(frame[2].split()), validate=True)
    except binascii.Error as error:
        return f"invalid key: {error}"
    return None


def _text(problem: Problem, expected: str) -> Kind:
    def parse(value: object) -> str:
        if not isinstance(value, str) or problem(value) is not None:
            raise ValueError
        return value

    return Kind(parse, expected, {"type": "string"})


def _timeout(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIMEOUT:
        raise ValueError
    return value


HTTPMethod = Annotated[str, _text(http_method_problem, "an HTTP method in capitals")]
Protocol = Literal["grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"]
Protocols = set[Protocol]
Host = Annotated[str, _text(host_problem, "a host name or address without a port")]
RedisHost = Host
HostWithOptionalPort = Annotated[
    str, _text(host_with_optional_port_problem, "a host name or address, with or without a port")
]
WildcardHost = Annotated[str, _text(wildcard_host_problem, "a host name, one * at either end allowed")]
IP = Annotated[str, _text(ip_problem, "an IP address")]
IPOrCIDR = Annotated[str, _text(ip_or_cidr_problem, "an IP address or CIDR range")]
CIDRv4 = Annotated[str, _text(cidr_v4_problem, "an IPv4 address or CIDR range")]
Path = Annotated[str, _text(path_problem, "a path that starts with /, has no // and is escaped")]
CookieName = Annotated[str, _text(cookie_name_problem, "a cookie name")]
SNI = Annotated[str, _text(sni_problem, "a host name")]
UUID = Annotated[str, _text(uuid_problem, "a UUID")]
Tag = Annotated[str, _text(tag_problem, "printable text without , and /")]
Tags = set[Tag]
Certificate = Annotated[str, _text(certificate_problem, "certificates in PEM")]
Key = Annotated[str, _text(key_problem, "a private key in PEM")]
Timeout = Annotated[
    int,
    Kind(
        _timeout,
        f"milliseconds from 0 to {MAX_TIMEOUT}",
        {"type": "integer", "minimum": 0, "maximum": MAX_TIMEOUT},
    ),
]
