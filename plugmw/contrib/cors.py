"""Answer CORS preflight requests and put CORS headers on every other answer.

    plugins:
      - name: cors
        config:
          origins: ["https://shop.example"]
          credentials: true
          max_age: 3600

A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 200 with an empty body,
before authentication. All other answers, refusals and errors included, get Access-Control-Allow-Origin
and what belongs to it. ``credentials`` together with the origin ``*`` opens the API to every site.

Decides nothing: browsers do, by these headers. Contract: Kong's cors (``kong/plugins/cors``); the headers
are those of the Fetch standard, section "HTTP extensions".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final, Literal

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, each, field, matches
from plugmw.schema.patterns import Pattern, TooLong, compiled
from plugmw.wsgi import keys

METHODS: Final = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT")
Method = Literal["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"]

#: Characters; no pattern sees a longer Origin. Host names end at 253 (RFC 1035 section 2.3.4).
MAX_ORIGIN: Final = 512

_LITERAL: Final = re.compile(r"[A-Za-z0-9.:/-]+").fullmatch
_ORIGIN: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]\\]+)"
    r"(?::(?P<port>[0-9]+))?(?:/.*)?"
).fullmatch
#: What is in no host: text with it must not get past a pattern for hosts by what stands behind it.
_NOT_IN_HOSTS: Final = re.compile(r"[/?#@\\]").search
_PRINTABLE: Final = matches("[ -~]+", "printable ASCII text")

ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
ALLOW_CREDENTIALS: Final = "Access-Control-Allow-Credentials"


@config
class Config:
    """Who may read what; every list but ``methods`` may be left out."""

    origins: list[str] | None = field(
        None, help="Origins let in: literal, `*`, or regular expressions for all of it; empty means all."
    )
    methods: list[Method] | None = field(list(METHODS), help="Methods announced on a preflight.")
    headers: list[str] | None = field(
        None, each(_PRINTABLE), help="Request headers announced; empty means whatever the preflight asks for."
    )
    exposed_headers: list[str] | None = field(
        None, each(_PRINTABLE), help="Response headers that scripts may read."
    )
    max_age: float | None = field(None, help="Seconds for which browsers may keep a preflight's answer.")
    credentials: bool = field(False, help="Whether browsers may send cookies and authentication.")
    private_network: bool = field(False, help="Whether public sites may ask this private server.")
    preflight_continue: bool = field(False, help="Whether the app answers preflights itself.")
    allow_origin_absent: bool = field(True, help="Whether answers to requests without Origin get headers.")

    def check(self) -> Iterator[tuple[str, str]]:
        for index, origin in enumerate(self.origins or ()):
            try:
                compiled(origin if origin != "*" else "", "fullmatch")
            except ValueError as error:
                yield f"origins[{index}]", f"'{origin}' is not a valid regex ({error})"


class Cors(Plugin[Config]):
    """Phases: access (preflights), header_filter (all other answers)."""

    name, priority, Config = "cors", 2000, Config
    #: It runs before anybody is authenticated.
    no_consumer: ClassVar[bool] = True

    def configure(self) -> None:
        self._origins = Origins(self.config.origins or ["*"])
        self._fixed = self._preflight_headers()

    def _preflight_headers(self) -> list[tuple[str, str]]:
        """Return the headers that every preflight gets."""
        config = self.config
        methods = METHODS if config.methods is None else config.methods
        allowed = [("Access-Control-Allow-Methods", ",".join(methods))]
        if config.headers:
            allowed.append(("Access-Control-Allow-Headers", ",".join(config.headers)))
        if config.max_age is not None:
            # The field is in whole seconds (RFC 9111 section 1.2.2).
            allowed.append(("Access-Control-Max-Age", str(int(config.max_age))))
        return allowed

    def access(self, x: Exchange) -> None:
        environ = x.environ
        if environ["REQUEST_METHOD"] != "OPTIONS" or "HTTP_ACCESS_CONTROL_REQUEST_METHOD" not in environ:
            return
        origin = _echoed(environ.get("HTTP_ORIGIN"))
        if not origin:
            return
        x.state(self)["preflight"] = True
        if self.config.preflight_continue:
            return
        allowed, varies, credentials = self._decide(origin)
        headers = list(self._fixed)
        if allowed is not None:
            headers.append((ALLOW_ORIGIN, allowed))
        if varies:
            headers.append(("Vary", "Origin"))
        if credentials:
            headers.append((ALLOW_CREDENTIALS, "true"))
        x.exit(200, None, headers + self._granted(x))

    def _granted(self, x: Exchange) -> list[tuple[str, str]]:
        """Return what a preflight gets because it asked for it."""
        granted = []
        wanted = _echoed(x.get_header("Access-Control-Request-Headers"))
        if wanted and not self.config.headers:
            granted.append(("Access-Control-Allow-Headers", wanted))
        private = x.get_header("Access-Control-Request-Private-Network")
        if self.config.private_network and private == "true":
            granted.append(("Access-Control-Allow-Private-Network", "true"))
        return granted

    def header_filter(self, x: Exchange) -> None:
        environ = x.environ
        # Looked at without making the dict: only a preflight has put something there.
        if keys.STATE in environ and x.state(self):
            return
        origin = _echoed(environ.get("HTTP_ORIGIN"))
        if not origin and not self.config.allow_origin_absent:
            return
        allowed, varies, credentials = self._decide(origin)
        if allowed is None:
            x.remove_header(ALLOW_ORIGIN)
        else:
            x.set_header(ALLOW_ORIGIN, allowed)
        if varies:
            vary_on_origin(x)
        if credentials:
            x.set_header(ALLOW_CREDENTIALS, "true")
        else:
            # What the app says is replaced as a whole: its credentials were for its own list of origins.
            x.remove_header(ALLOW_CREDENTIALS)
        if self.config.exposed_headers:
            x.set_header("Access-Control-Expose-Headers", ",".join(self.config.exposed_headers))

    def _decide(self, origin: str | None) -> tuple[str | None, bool, bool]:
        """Return Allow-Origin, whether it varies with the Origin, and whether to allow credentials.

        ``*`` never goes with credentials (Fetch standard): then the Origin is echoed.
        """
        allowed, varies = self._origins.allowed(origin)
        if not self.config.credentials:
            return allowed, varies, False
        if allowed != "*":
            return allowed, varies, True
        return (origin, True, True) if origin else ("*", varies, False)


class Origins:
    """A list of origins, compiled."""

    def __init__(self, entries: list[str]) -> None:
        self._all = entries == ["*"]
        self._only = entries[0] if len(entries) == 1 and _LITERAL(entries[0]) else None
        self._star = "*" in entries
        self._literals = {normalise(entry)[0] for entry in entries if _LITERAL(entry)}
        patterns = [entry for entry in entries if entry != "*" and not _LITERAL(entry)]
        # A pattern with a colon means scheme://host:port, one without the host alone.
        self._wholes = [compiled(entry, "fullmatch") for entry in patterns if ":" in entry]
        self._hosts = [compiled(entry, "fullmatch") for entry in patterns if ":" not in entry]

    def allowed(self, origin: str | None) -> tuple[str | None, bool]:
        """Return the Allow-Origin for a request's Origin (None: none), and whether it depends on it."""
        if self._all:
            return "*", False
        if self._only is not None:
            return self._only, True
        if origin and self._star:
            return "*", True
        if origin and len(origin) <= MAX_ORIGIN and self._matches(*normalise(origin)):
            return normalise(origin)[0], True
        return None, True

    def _matches(self, whole: str, host: str) -> bool:
        return (
            whole in self._literals
            or any(_fits(pattern, whole) for pattern in self._wholes)
            or (not _NOT_IN_HOSTS(host) and any(_fits(pattern, host) for pattern in self._hosts))
        )


def _fits(pattern: Pattern, text: str) -> bool:
    try:
        return pattern.find(text) is not None
    except TooLong:
        return False


def normalise(origin: str) -> tuple[str, str]:
    """Return an origin without its scheme's default port, and its host; other text twice, as it is."""
    found = _ORIGIN(origin)
    if found is None:
        return origin, origin
    scheme, host, port = found.group("scheme", "host", "port")
    if (scheme, port) in (("http", "80"), ("https", "443")):
        port = None
    return (f"{scheme}://" if scheme else "") + host + (f":{port}" if port else ""), host


def _echoed(value: str | None) -> str | None:
    """Return a request header that may be echoed; one with control characters counts as absent."""
    return value if value and value.isascii() and value.isprintable() else None


def vary_on_origin(x: Exchange) -> None:
    """Add ``Origin`` to the response's Vary unless it is there already."""
    if x.response_header("Vary") is not None:
        listed = [value for name, value in x.header_list or () if name.lower() == "vary"]
        names = {part.strip().lower() for value in listed for part in value.split(",")}
        if names & {"origin", "*"}:
            return
    x.add_header("Vary", "Origin")
