"""The fields of a classic API definition that are read here, under Tyk's names and with its defaults.

Every other key that has a value is reported (:mod:`~plugmw.dialects.tyk.not_carried_over`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from plugmw.documents.shapes import Holds
from plugmw.schema import Kind, config, field

_WORDS: Final[dict[type, tuple[str, str]]] = {
    bool: ("true or false", "boolean"),
    str: ("a text", "string"),
    int: ("a number", "integer"),
    list: ("a list", "array"),
}


def _kind(wanted: type) -> Kind:
    expected, json_type = _WORDS[wanted]

    def parse(value: object) -> object:
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ValueError
        return value

    return Kind(parse, expected, {"type": json_type})


Flag = Annotated[bool, _kind(bool)]
Text = Annotated[str, _kind(str)]
Number = Annotated[int, _kind(int)]
Items = Annotated[list[object], _kind(list)]


def _flag(help: str, default: bool = False) -> Any:
    return field(default, help=help)


def _text(help: str) -> Any:
    return field("", empty=True, help=help)


def _items(help: str) -> Any:
    return field([], help=help)


@config
class Transport:
    """``proxy.transport``."""

    ssl_insecure_skip_verify: Flag = _flag("Whether the upstream's certificate is not verified.")


@config
class Proxy:
    """``proxy``."""

    listen_path: Text = _text("The path of the API, with {variables}.")
    strip_listen_path: Flag = _flag("Whether the upstream gets the path without it.")
    target_url: Text = _text("The upstream.")
    preserve_host_header: Flag = _flag("Whether the upstream gets the client's Host.")
    transport: Transport = field(Transport(), help="TLS to the upstream.")


@config
class Cors:
    """``CORS``."""

    enable: Flag = _flag("Whether requests of other origins are answered.")
    allowed_origins: Items = _items("Origins, with * in them.")
    allowed_methods: Items = _items("Methods.")
    allowed_headers: Items = _items("Headers of requests.")
    exposed_headers: Items = _items("Headers of answers.")
    allow_credentials: Flag = _flag("Whether cookies are sent.")
    max_age: Number = field(0, help="Seconds.")
    options_passthrough: Flag = _flag("Whether the upstream answers preflights.")


@config
class Auth:
    """``auth`` and those in ``auth_configs``."""

    auth_header_name: Text = _text("The header that has the token.")
    disable_header: Flag = _flag("Whether it does not count.")
    use_param: Flag = _flag("Whether the token may be a query parameter.")
    param_name: Text = _text("Its name.")
    use_cookie: Flag = _flag("Whether the token may be a cookie.")
    cookie_name: Text = _text("Its name.")


@config
class AuthProvider:
    """``auth_provider``."""

    name: object = field(None, help="What it is called.")
    storage_engine: Text = _text("Where tokens are kept.")
    meta: object = field(None, help="Its options.")


@config
class Hook:
    """A hook of ``custom_middleware``."""

    name: object = field(None, help="The function.")
    path: object = field(None, help="The file.")
    disabled: object = field(None, help="Whether it does not run.")
    require_session: object = field(None, help="Whether it gets the session, which it always does.")
    raw_body_only: object = field(None, help="Whether it gets the body as bytes alone.")


@config
class IdExtractor:
    """``custom_middleware.id_extractor``."""

    disabled: object = field(None, help="Whether it is not used.")
    extract_from: object = field(None, help="Where the key is.")
    extract_with: object = field(None, help="How it is taken from there.")
    extractor_config: object = field(None, help="What of it.")


@config
class CustomMiddleware:
    """``custom_middleware``, whose hooks are read one by one, as those of a bundle's manifest."""

    driver: object = field(None, help="The language.")
    pre: list[Hook] = field([], help="Before authentication.")
    auth_check: Hook = field(Hook(), help="Authentication.")
    post_key_auth: list[Hook] = field([], help="After authentication.")
    post: list[Hook] = field([], help="Before the upstream.")
    response: list[Hook] = field([], help="On the answer.")
    id_extractor: IdExtractor = field(IdExtractor(), help="The key under which a session is kept.")


@config
class GoPlugin:
    """A plugin of ``extended_paths.go_plugin``."""

    path: object = field(None, help="A pattern.")
    method: object = field(None, help="The method.")
    plugin_path: object = field(None, help="The file.")
    func_name: object = field(None, help="The function.")
    disabled: object = field(None, help="Whether it does not run.")


@config
class ExtendedPaths:
    """``extended_paths`` of a version."""

    go_plugin: Annotated[Items, Holds(list[GoPlugin])] = _items("Plugins of single endpoints.")


@config
class Version:
    """One of ``version_data.versions``."""

    name: Text = _text("What it is called.")
    use_extended_paths: Flag = _flag("Whether its paths are the extended ones.")
    extended_paths: ExtendedPaths = field(ExtendedPaths(), help="What is done for single endpoints.")


@config
class VersionData:
    """``version_data``."""

    not_versioned: Flag = _flag("Whether there are no versions.", default=True)
    versions: dict[str, Version] = field({}, empty=True, help="The versions by name.")


@config
class Versioning:
    """``definition``."""

    key: Text = _text("The header or parameter that has the version.")


@config
class AnalyticsPlugin:
    """``analytics_plugin``."""

    enable: Flag = _flag("Whether there is one.")
    plugin_path: Text = _text("Its file.")
    func_name: Text = _text("Its function.")


@config
class ApiDefinition:
    """The root."""

    name: Text = _text("What the API is called.")
    api_id: Text = _text("Its id.")
    org_id: Text = _text("The id of its organisation.")
    active: Flag = _flag("Whether it is served.", default=True)
    protocol: Text = _text("The protocol of its clients.")
    domain: Text = _text("The host it is limited to.")
    domain_disabled: Flag = _flag("Whether it is not.")
    proxy: Proxy = field(Proxy(), help="Where it listens, and its upstream.")
    use_keyless: Flag = _flag("Whether everybody may pass.")
    use_standard_auth: Flag = _flag("Whether a token is asked for.")
    auth: Auth = field(Auth(), help="Where the token is.")
    auth_configs: dict[str, Auth | None] = field(
        {}, empty=True, help="Where it is, by kind of authentication."
    )
    auth_provider: AuthProvider = field(AuthProvider(), help="Who knows the tokens.")
    strip_auth_data: Flag = _flag("Whether the upstream gets no token.")
    custom_plugin_auth_enabled: Flag = _flag("Whether auth_check authenticates.")
    use_go_plugin_auth: Flag = _flag("An older name of it.")
    enable_coprocess_auth: Flag = _flag("Another one.")
    disable_rate_limit: Flag = _flag("Whether rates of sessions do not count.")
    disable_quota: Flag = _flag("Whether their quotas do not count.")
    allowed_ips: Items = _items("Addresses that may pass.")
    enable_ip_whitelisting: Flag = _flag("Whether only they may.")
    blacklisted_ips: Items = _items("Addresses that may not pass.")
    enable_ip_blacklisting: Flag = _flag("Whether they may not.")
    ip_access_control_disabled: Flag = _flag("Whether a list without its switch does not count.")
    CORS: Cors = field(Cors(), help="Requests of other origins.")
    version_data: VersionData = field(VersionData(), help="The versions.")
    definition: Versioning = field(Versioning(), help="Where a request says which version it wants.")
    custom_middleware: Annotated[dict[str, object], Holds(CustomMiddleware)] = field(
        {}, empty=True, help="The hooks."
    )
    custom_middleware_bundle: Text = _text("The bundle that has them.")
    custom_middleware_bundle_disabled: Flag = _flag("Whether it is not used.")
    analytics_plugin: AnalyticsPlugin = field(AnalyticsPlugin(), help="What sees the records.")
    config_data: object = field(None, help="Free data for hooks.")
    plugmw: dict[str, object] = field({}, empty=True, help="What is not Tyk's.")


@config
class Own:
    """The section ``plugmw``; its other keys are settings of a gateway."""

    plugins: object = field(None, help="Entries.")
    consumers: object = field(None, help="Consumers.")
    sessions: Items = _items("Sessions with their tokens.")
    tyk_conf: object = field(None, help="The file tyk.conf, or its values.")
    version: object = field(None, help="The gateway's version, as in names of plugin files.")
    strict: Flag | None = field(None, help="Whether hooks that cannot be loaded are errors; unless `compat`.")
    compat: Flag = _flag("Whether Tyk's behaviour is kept where plugmw's differs.")
