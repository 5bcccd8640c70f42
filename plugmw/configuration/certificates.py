"""The certificate phase: which certificate a TLS handshake gets, by the name that the client asks for.

    certificates:
      - {cert: /etc/ssl/shop.pem, key: /etc/ssl/shop.key, snis: [shop.example, "*.shop.example"]}

Plugins have ``certificate(hello)``, which returns None, an ``ssl.SSLContext``, or a pair of certificate
and key (paths of files, or texts in PEM). The first of the global entries that returns one decides; the
``certificates`` of a gateway come last. Without one, or when a plugin fails, the handshake goes on with the
server's own certificate. The server has to ask: :func:`plugmw.mounts.gunicorn.ssl_context`.
"""

from __future__ import annotations

import functools
import os
import ssl
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from plugmw.errors import ConfigError
from plugmw.kernel import phases
from plugmw.kernel.order import Entry, slots
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.user_code import contained
from plugmw.loading.regular import open_regular, read_regular
from plugmw.schema import Finding, config, field
from plugmw.schema.typedefs import wildcard_host_problem

if TYPE_CHECKING:
    from plugmw.kernel.worker import Worker

_BEGIN = "-----BEGIN "


@attrs.frozen
class Hello:
    """What is known of a client in a TLS handshake."""

    #: The name the client asks for (SNI), None if it does not.
    server_name: str | None
    #: The ``ssl.SSLSocket`` or ``ssl.SSLObject`` of the handshake.
    connection: ssl.SSLSocket | ssl.SSLObject | None = None


@config
class CertificateConfig:
    """A certificate, and the names it is for."""

    cert: str = field(help="Certificates in PEM, the server's first: a file or the text.")
    key: str = field(help="The private key in PEM: a file or the text.", secret=True)
    snis: list[str] = field([], help="Host names, one `*` at either end allowed; `*` alone is any name.")

    def check(self) -> Iterator[Finding]:
        for index, name in enumerate(self.snis):
            if name != "*" and wildcard_host_problem(name) is not None:
                yield f"snis[{index}]", f"got {name!r}, expected a host name, one * at either end allowed"


class Certificates(Plugin[tuple[CertificateConfig, ...]]):
    """The ``certificates`` of a gateway, as a plugin below all others."""

    name, priority = "certificates", -1_000_000

    def __init__(self, listed: Sequence[CertificateConfig]) -> None:
        self._init(tuple(listed))

    def configure(self) -> None:
        """Load every certificate once, so that one that is none is found out here."""
        for index, item in enumerate(self.config):
            try:
                context(item.cert, item.key)
            except (OSError, ValueError) as error:
                problem = f"cannot be loaded with its key: {error}"
                raise ConfigError(f"certificates[{index}].cert", problem, "a certificate in PEM") from None

    def certificate(self, hello: Hello) -> tuple[str, str] | None:
        """Return the certificate for the name: the name itself first, then ``*.x``, ``x.*``, ``*``."""
        for wanted in _spellings((hello.server_name or "").lower()):
            for item in self.config:
                if wanted in (name.lower() for name in item.snis):
                    return item.cert, item.key
        return None


def _spellings(name: str) -> Iterable[str]:
    if name:
        yield name
        labels = name.split(".")
        yield from (".".join(["*", *labels[cut:]]) for cut in range(1, len(labels)))
        yield from (".".join([*labels[:cut], "*"]) for cut in range(len(labels) - 1, 0, -1))
    yield "*"


def choose(hello: Hello, workers: Iterable[Worker]) -> ssl.SSLContext | None:
    """Ask the global entries of the gateways, highest priority first; None means the server's default."""
    for worker in workers:
        worker.start()
        for plugin in _choosers(worker.entries):
            try:
                choice = contained(plugin.certificate, hello)
                if choice is not None:
                    return choice if isinstance(choice, ssl.SSLContext) else context(*choice)
            except Exception as error:
                name = hello.server_name or "no name"
                worker.runtime.logger.error(
                    "%s failed in certificate (%r)", plugin.name, name, exc_info=error
                )
                return None
    return None


def _choosers(entries: Iterable[Entry]) -> list[Any]:
    globals_ = [entry for entry in entries if entry.is_global and entry.when is None]
    plugins = [slot.plugin for slot in slots(globals_) if slot.has(phases.CERTIFICATE)]
    return [plugin for plugin in plugins if getattr(plugin, "broken", None) is None]


def context(cert: str, key: str) -> ssl.SSLContext:
    """Return the context of a certificate, made once; of files again when one was written anew."""
    return _context(cert, key, _stamp(cert), _stamp(key))


def _stamp(source: str) -> int:
    if _BEGIN in source:
        return 0
    with open_regular(source) as file:
        return os.fstat(file.fileno()).st_mtime_ns


@functools.lru_cache(maxsize=1024)
def _context(cert: str, key: str, *stamps: int) -> ssl.SSLContext:
    loaded = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if _BEGIN not in cert and _BEGIN not in key:
        loaded.load_cert_chain(cert, key)
        return loaded
    # OpenSSL reads files only: one that nobody else can open, and that is gone at once.
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
        file.write("\n".join(_text(source) for source in (cert, key)))
        file.flush()
        loaded.load_cert_chain(file.name)
    return loaded


def _text(source: str) -> str:
    if _BEGIN in source:
        return source
    return read_regular(source).decode("ascii")
