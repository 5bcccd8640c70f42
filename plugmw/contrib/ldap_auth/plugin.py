"""Authenticate requests by a user name and a password that an LDAP directory checks (a simple bind).

    plugins:
      - name: ldap-auth
        config:
          ldap_host: ldap.shop.example
          ldaps: true
          ldap_port: 636
          base_dn: ou=people,dc=shop,dc=example
          attribute: uid

    Authorization: ldap <Base64 of user:password>

The directory is asked whether the password is that of ``uid=<user>,ou=people,dc=shop,dc=example``. If not the
client gets 401 with ``WWW-Authenticate: LDAP`` and "Unauthorized", whatever is wrong, in the format it
accepts; 500 if the directory cannot be asked. The app gets X-Credential-Identifier (the user name), never one
that a client sent, and no X-Consumer-* headers: the users are the directory's.

Fails closed, also with ``anonymous``. Contract: Kong's ldap-auth (``kong/plugins/ldap-auth``), with names
escaped and certificates verified. Needs ``pip install 'plugmw[ldap]'``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import ssl
import threading
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, Final, Protocol

from plugmw.auth.authentication import ANONYMOUS_HELP, REALM, REALM_HELP, Authentication, Denied, challenge
from plugmw.contrib.ldap_auth.ldap import TLS, Pool, Server, escape
from plugmw.errors import ConfigError
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Credential, stable_id
from plugmw.schema import REQUIRED, above, at_least, config, field, matches
from plugmw.schema.fields import HeaderName, Port
from plugmw.wsgi.headers import unpadded_base64
from plugmw.wsgi.text import utf8_or_latin1

#: Bytes of UTF-8; longer names and passwords are wrong without a bind.
LONGEST: Final = 1024
#: Answers of the directory that a process remembers.
MOST: Final = 10_000
#: What says who is asking, in the order in which it is looked at.
HEADERS: Final = ("Proxy-Authorization", "Authorization")


class Binder(Protocol):
    """Checks a password. The user name in ``dn`` is escaped, ``password`` is not empty."""

    def __call__(self, dn: str, password: str, config: Config) -> str | None:
        """Return None if the password is right, else why not; an exception if that cannot be told."""


_HOST: Final = matches(
    r"[A-Za-z0-9_.-]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", "a host without a port"
)
_ATTRIBUTE: Final = matches(r"[A-Za-z][A-Za-z0-9-]*|\d+(\.\d+)+", "the name of an attribute, such as uid")


#: What directories map to nothing (RFC 4518 section 2.2), and what else nobody sees, of what is printable.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u1806\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufffc\U000e0100-\U000e01ef]"
)


@config
class Config:
    """Which directory, and who is in it."""

    ldap_host: str = field(REQUIRED, _HOST, help="Name or address of the directory, without the port.")
    ldap_port: Port = field(389, above(0), help="Port of the directory; usually 636 with `ldaps`.")
    ldaps: bool = field(False, help="Whether to use TLS from the start.")
    start_tls: bool = field(False, help="Whether to change to TLS before anything else (StartTLS).")
    verify_ldap_host: bool = field(True, help="Whether the certificate of the directory is verified.")
    ca_file: str | None = field(
        None, help="PEM file of the authorities that certificates are verified by; none is the system's."
    )
    base_dn: str = field(help="Name of the entry below which the users are.")
    attribute: str = field(REQUIRED, _ATTRIBUTE, help="Attribute that the user name is the value of.")
    cache_ttl: float = field(
        60, at_least(0), help="Seconds for which an answer of the directory is remembered; 0 is not at all."
    )
    hide_credentials: bool = field(False, help="Whether the app gets the request without the password.")
    timeout: float = field(3000, above(0), help="Milliseconds within which the directory must have answered.")
    keepalive: float = field(
        60000, at_least(0), help="Milliseconds for which a connection waits for its next use; 0 closes it."
    )
    max_binds: int = field(
        32, at_least(1), help="Most passwords that a process has checked at the same time; others wait."
    )
    anonymous: str | None = field(None, help=ANONYMOUS_HELP)
    header_type: HeaderName = field("ldap", help="Word before the credentials, in any case.")
    realm: str | None = field(None, REALM, help=REALM_HELP)

    def check(self) -> Iterator[str]:
        if self.ldaps and self.start_tls:
            yield "'ldaps' and 'start_tls' cannot be enabled simultaneously"


class LDAPAuth(Authentication[Config]):
    """Phases: access. A subclass with a ``binder`` asks something else than an LDAP directory."""

    name, priority, Config = "ldap-auth", 1002, Config
    credential_names = ("authorization", "proxy-authorization")
    binder: ClassVar[Binder | None] = None

    _pool: Pool | None = None

    def configure(self) -> None:
        config = self.config
        scheme = config.header_type
        self._challenge = challenge("LDAP" if scheme == "ldap" else scheme, config.realm)
        self._read = re.compile(
            rf"[ \t]*{re.escape(scheme)}[ \t]+([A-Za-z0-9+/]+)={{0,2}}[ \t]*", re.IGNORECASE
        ).fullmatch
        self._is_ours = re.compile(rf"[ \t]*{re.escape(scheme)}[ \t]", re.IGNORECASE).match
        if type(self).binder is None:
            self._context()
            self._warn()
        self._secret = os.urandom(32)
        self._lock = threading.Lock()
        #: By digest of name and password: until when the answer is remembered, and whether it was yes.
        self._answers: dict[bytes, tuple[float, bool]] = {}

    def _context(self) -> ssl.SSLContext:
        config = self.config
        try:
            context = ssl.create_default_context(cafile=config.ca_file)
        except OSError as error:
            problem = f"got {config.ca_file!r}, which cannot be read ({error.strerror or error})"
            raise ConfigError("ca_file", problem, "a PEM file of certificates") from error
        if not config.verify_ldap_host:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _warn(self) -> None:
        config = self.config
        if not (config.ldaps or config.start_tls):
            self.logger.warning("passwords go to %s in the clear; set ldaps or start_tls", config.ldap_host)
        elif not config.verify_ldap_host:
            self.logger.warning("the certificate of %s is not verified", config.ldap_host)

    def init_worker(self) -> None:
        config, binder = self.config, type(self).binder
        self._lock = threading.Lock()
        if binder is not None:
            self._bind: Callable[[str, str], str | None] = partial(binder, config=config)
            return
        tls: TLS = "always" if config.ldaps else "start" if config.start_tls else "no"
        # The context too is made here: one from before gevent's patches does not work after them.
        server = Server(config.ldap_host, config.ldap_port, tls, self._context(), config.timeout / 1000)
        self._pool = Pool(server, config.keepalive / 1000, config.max_binds)
        self._bind = self._pool.bind

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    def identify(self, x: Exchange) -> tuple[None, Credential]:
        user = self._user(x)
        if self.config.hide_credentials:
            self._hide(x, user is not None)
        if user is None:
            raise Denied(headers=self._challenge)
        return None, Credential(id=self._id(user), consumer_id="", identifier=user)

    def _user(self, x: Exchange) -> str | None:
        """Return who has given the right password; the second header counts if the first one has not."""
        for name in HEADERS:
            pair = self._pair(x.get_header(name) or "")
            if pair is not None and self._is_right(x, *pair):
                return pair[0]
        return None

    def _pair(self, value: str) -> tuple[str, str] | None:
        """Return user name and password of a header, None if there are none that could be right."""
        match = self._read(value)
        data = None if match is None else unpadded_base64(match[1])
        if data is None:
            return None
        user, _, password = utf8_or_latin1(data).partition(":")
        # Directories pass over what cannot be seen: with such a character it would be the name of another.
        return (user, password) if user and password and user.isprintable() else None

    def _is_right(self, x: Exchange, user: str, password: str) -> bool:
        """Ask the directory, unless the answer is known."""
        if max(len(user.encode()), len(password.encode())) > LONGEST:
            return False
        now, ttl = self.runtime.clock(), self.config.cache_ttl
        # A name has no line feed in it, so no other pair is written like this.
        seen = hmac.digest(self._secret, f"{user}\n{password}".encode(), hashlib.sha256)
        with self._lock:
            until, right = self._answers.get(seen, (now, False))
        if 0 < until - now <= ttl:
            return right
        right = self._ask(x, user, password)
        if ttl:
            self._remember(seen, now + ttl, right)
        return right

    def _ask(self, x: Exchange, user: str, password: str) -> bool:
        dn = f"{self.config.attribute}={escape(user)},{self.config.base_dn}"
        refusal = self._bind(dn, password)
        if refusal is not None:
            self.logger.info("refused by the directory: %s (request %s)", refusal, x.request_id)
        return refusal is None

    def _remember(self, seen: bytes, until: float, right: bool) -> None:
        with self._lock:
            self._answers.pop(seen, None)
            if len(self._answers) >= MOST:
                del self._answers[next(iter(self._answers))]
            self._answers[seen] = until, right

    def _hide(self, x: Exchange, right: bool) -> None:
        """Remove both headers; of a request that was denied only what was meant for this plugin."""
        for name in HEADERS:
            if right or self._is_ours(x.get_header(name) or ""):
                x.remove_request_header(name)

    def _id(self, user: str) -> str:
        """Return one id for all spellings that directories take for the same name (RFC 4518, roughly)."""
        seen = unicodedata.normalize("NFKC", _UNSEEN.sub("", user)).casefold()
        name = " ".join(_UNSEEN.sub("", unicodedata.normalize("NFKC", seen)).split())
        config = self.config
        place = (config.ldap_host.lower(), str(config.ldap_port), config.base_dn, config.attribute)
        return stable_id("ldap-auth", *place, name)
