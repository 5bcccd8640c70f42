"""The shape of a gateway's own configuration document; every other file format is turned into this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from plugmw.configuration.certificates import CertificateConfig
from plugmw.kernel.runtime import DEFAULT_BODY_LIMIT
from plugmw.routing.conditions import Condition
from plugmw.schema import Finding, above, at_least, between, config, each, field, matches, not_empty, patterns
from plugmw.schema.fields import URL, HeaderName
from plugmw.telemetry.queue import SHUTDOWN_TIMEOUT

_METHOD = matches("[A-Z]+", "HTTP methods in capitals")


@config
class RouteConfig:
    """A route: requests that plugins can be limited to."""

    name: str = field(help="Name by which entries refer to the route.")
    paths: list[str] = field([], help="Path prefixes (`/admin`), or regular expressions with a leading `~`.")
    hosts: list[str] = field([], help="Host names; one `*` at either end stands for anything.")
    methods: list[str] = field([], each(_METHOD), help="Methods, exactly as sent; `GET` is for HEAD too.")
    headers: dict[str, list[str]] = field({}, help="Request headers and the values that match, any case.")
    regex_priority: int = field(0, help="Order among routes with regular expressions, the highest first.")
    service: str | None = field(None, help="Name of the service the route belongs to.")
    strip_path: bool = field(
        False, help="Cut what `paths` matched before the service is asked (an app finds it in SCRIPT_NAME)."
    )
    preserve_host: bool = field(False, help="Send an upstream the client's Host instead of its own.")
    protocols: list[Literal["http", "https"]] = field(
        ["http", "https"], not_empty(), help="Protocols served; another one is told to use https."
    )
    https_redirect_status_code: Literal[426, 301, 302, 307, 308] = field(
        426, help="Answer to plain http on an https-only route."
    )
    id: str = field("", empty=True, help="Identifier, for logs.")
    tags: list[str] = field([], help="Free labels.")

    def check(self) -> Iterator[Finding]:
        for index, path in enumerate(self.paths):
            if path.startswith("~"):
                try:
                    patterns.compiled(path[1:], "match")
                except ValueError as error:
                    yield f"paths[{index}]", f"got {path!r}, expected a regular expression ({error})"
            elif not path.startswith("/"):
                yield (
                    f"paths[{index}]",
                    f"got {path!r}, expected a path that starts with / (or ~ and a pattern)",
                )
        if not (self.paths or self.hosts or self.methods or self.headers):
            yield "at least one of paths, hosts, methods, headers must be given"


@config
class ServiceConfig:
    """What answers the requests of routes: an HTTP service, or the wrapped app under a name."""

    name: str = field(help="Name by which routes and entries refer to the service.")
    url: URL | None = field(
        None, help="Where requests are sent, without user info; the wrapped app answers if not given."
    )
    connect_timeout: float = field(60.0, above(0), help="Seconds to open a connection.")
    read_timeout: float = field(60.0, above(0), help="Seconds between two reads.")
    write_timeout: float = field(60.0, above(0), help="Seconds between two writes.")
    retries: int = field(5, between(0, 32767), help="New tries when a connection cannot be opened.")
    verify: bool = field(True, help="Whether the service's certificate is verified.")
    ca_file: str | None = field(None, help="CA certificates to verify with, instead of the system's.")
    enabled: bool = field(True, help="Whether the service is asked at all; else 503.")
    id: str = field("", empty=True, help="Identifier, for logs.")
    tags: list[str] = field([], help="Free labels.")

    def check(self) -> Iterator[tuple[str, str]]:
        if self.url and "@" in urlsplit(self.url).netloc:
            yield "url", "has user info, which no service is sent and logs would show"


@config
class FolderConfig:
    """A folder of plugin files."""

    path: str = field(help="The folder, relative to the configuration file.")
    pattern: str = field("*.py", help="Which files are plugins, as a file name pattern.")


@config
class EntryConfig:
    """One plugin in the chain."""

    name: str = field(help="A bundled plugin, an entry point, a folder's plugin, or `module:Class`.")
    config: dict[str, object] = field({}, help="The plugin's own fields.")
    route: str | None = field(None, help="Only requests of this route.")
    service: str | None = field(None, help="Only requests of this service.")
    consumer: str | None = field(None, help="Only requests of this consumer (id, username or custom_id).")
    priority: float | None = field(None, help="Instead of the plugin's own priority; the highest runs first.")
    before: list[str] = field([], help="Names of entries this one runs before.")
    after: list[str] = field([], help="Names of entries this one runs after.")
    instance: str | None = field(None, help="A name of its own, to run the same plugin more than once.")
    enabled: bool = field(True, help="Whether the entry counts at all.")
    on_error: Literal["closed", "open"] = field(
        "closed", help="What a failure of the plugin means: `closed` answers 500, `open` goes on without it."
    )
    when: Condition | None = field(None, help="Conditions on the request under which the entry applies.")
    tags: list[str] = field([], help="Free labels.")


@config
class Settings:
    """A gateway."""

    plugins: list[EntryConfig] = field([], help="The entries of the chain, in any order.")
    routes: list[RouteConfig] = field([], help="Routes that entries can be limited to.")
    services: list[ServiceConfig] = field([], help="What answers the requests of routes.")
    consumers: list[dict[str, object]] = field([], help="Who uses the API, with their credentials.")
    consumer_store: str | None = field(
        None,
        secret=True,
        help="More consumers, in SQL tables: `sqlite:///path` or `postgresql://user@host/database`.",
    )
    remote_user: Literal["username", "custom_id", "id"] | Literal[False] = field(
        False, help="What of the consumer the app sees as REMOTE_USER; `false` leaves that to the server."
    )
    identity_headers: Literal["remove", "keep"] = field(
        "remove",
        help="X-Consumer-Username and the like from a client: `remove` them, or `keep` them as set by a "
        "gateway in front; where an entry authenticates they are always removed.",
    )
    method_override: Literal["keep", "remove", "honour"] = field(
        "keep",
        help="X-HTTP-Method-Override and the like: `keep` them for the app, with guards for both methods; "
        "`remove` them; or `honour` them on a POST, before anything looks at the method.",
    )
    certificates: list[CertificateConfig] = field(
        [], help="Certificates for TLS handshakes by name, where gunicorn does TLS itself."
    )
    folders: list[FolderConfig] = field([], help="Folders of plugin files.")
    pluginservers: list[dict[str, object]] = field([], help="Kong plugin servers whose plugins can be used.")
    store: str = field(
        "auto",
        secret=True,
        help="Where counters are: `auto`, `memory://`, `file:///path`, `redis://...`.",
    )
    trusted: list[str] | int = field(
        [], help="Proxies whose forwarding headers count: networks and `unix:`, or how many there are."
    )
    real_ip_header: HeaderName = field("X-Forwarded-For", help="The field in which they name the client.")
    real_ip_recursive: bool = field(
        True, help="Whether to skip trusted addresses in that field from the right."
    )
    unrouted: Literal["pass", "404"] = field(
        "pass", help="Requests that match no route: `pass` them on under the global entries, or answer `404`."
    )
    max_request_body: int = field(
        DEFAULT_BODY_LIMIT, at_least(0), help="Bytes of a request body that plugins may read; above it 413."
    )
    max_response_body: int = field(
        DEFAULT_BODY_LIMIT, above(0), help="Bytes of a response that plugins may collect; above it 500."
    )
    answer_crashes: bool = field(
        False, help="Answer 500 when the app itself raises, instead of leaving it to the server."
    )
    shutdown_timeout: float = field(
        SHUTDOWN_TIMEOUT, at_least(0), help="Seconds to send waiting log entries when a worker ends."
    )
    reload: bool = field(
        True, help="Whether each worker takes changes of the files without a restart, within a second."
    )
    strict: bool = field(False, help="Refuse to start when a plugin file cannot be loaded.")
