"""The fields of a classic API definition that are read here, under Tyk's names and with its defaults.

Every other key that has a value is reported (:mod:`~plugmw.dialects.tyk.not_carried_over`).
"""

from __future__ import annotations

from typing import Annotated

from plugmw.dialects.tyk.kinds import Flag, Items, Number, Text, flag, items, text
from plugmw.dialects.tyk.stored import PolicyFields, SessionFields
from plugmw.documents.shapes import Holds
from plugmw.schema import config, field


@config
class Transport:
    """``proxy.transport``."""

    ssl_insecure_skip_verify: Flag = flag("Whether the upstream's certificate is not verified.")


@config
class Proxy:
    """``proxy``."""

    listen_path: Text = text("The path of the API, with {variables}.")
    strip_listen_path: Flag = flag("Whether the upstream gets the path without it.")
    target_url: Text = text("The upstream.")
    preserve_host_header: Flag = flag("Whether the upstream gets the client's Host.")
    transport: Transport = field(Transport(), help="TLS to the upstream.")


@config
class Cors:
    """``CORS``."""

    enable: Flag = flag("Whether requests of other origins are answered.")
    allowed_origins: Items = items("Origins, with * in them.")
    allowed_methods: Items = items("Methods.")
    allowed_headers: Items = items("Headers of requests.")
    exposed_headers: Items = items("Headers of answers.")
    allow_credentials: Flag = flag("Whether cookies are sent.")
    max_age: Number = field(0, help="Seconds.")
    options_passthrough: Flag = flag("Whether the upstream answers preflights.")


@config
class Auth:
    """``auth`` and those in ``auth_configs``."""

    auth_header_name: Text = text("The header that has the token.")
    disable_header: Flag = flag("Whether it does not count.")
    use_param: Flag = flag("Whether the token may be a query parameter.")
    param_name: Text = text("Its name.")
    use_cookie: Flag = flag("Whether the token may be a cookie.")
    cookie_name: Text = text("Its name.")


@config
class AuthProvider:
    """``auth_provider``."""

    storage_engine: Text = text("Where tokens are kept.")
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

    go_plugin: Annotated[Items, Holds(list[GoPlugin])] = items("Plugins of single endpoints.")


@config
class Version:
    """One of ``version_data.versions``."""

    name: Text = text("What it is called.")
    use_extended_paths: Flag = flag("Whether its paths are the extended ones.")
    extended_paths: ExtendedPaths = field(ExtendedPaths(), help="What is done for single endpoints.")


@config
class VersionData:
    """``version_data``."""

    not_versioned: Flag = flag("Whether there are no versions.", default=True)
    versions: dict[str, Version] = field({}, empty=True, help="The versions by name.")


@config
class Versioning:
    """``definition``."""

    key: Text = text("The header or parameter that has the version.")
    location: Text = text("Where it is; in the URL it needs no key.")


@config
class AnalyticsPlugin:
    """``analytics_plugin``."""

    enable: Flag = flag("Whether there is one.")
    plugin_path: Text = text("Its file.")
    func_name: Text = text("Its function.")


@config
class ApiDefinition:
    """The root."""

    name: Text = text("What the API is called.")
    api_id: Text = text("Its id.")
    org_id: Text = text("The id of its organisation.")
    active: Flag = flag("Whether it is served.", default=True)
    protocol: Text = text("The protocol of its clients.")
    domain: Text = text("The host it is limited to.")
    domain_disabled: Flag = flag("Whether it is not.")
    proxy: Proxy = field(Proxy(), help="Where it listens, and its upstream.")
    use_keyless: Flag = flag("Whether everybody may pass.")
    use_standard_auth: Flag = flag("Whether a token is asked for.")
    auth: Auth = field(Auth(), help="Where the token is.")
    auth_configs: dict[str, Auth | None] = field(
        {}, empty=True, help="Where it is, by kind of authentication."
    )
    auth_provider: AuthProvider = field(AuthProvider(), help="Who knows the tokens.")
    strip_auth_data: Flag = flag("Whether the upstream gets no token.")
    custom_plugin_auth_enabled: Flag = flag("Whether auth_check authenticates.")
    use_go_plugin_auth: Flag = flag("An older name of it.")
    enable_coprocess_auth: Flag = flag("Another one.")
    disable_rate_limit: Flag = flag("Whether rates of sessions do not count.")
    disable_quota: Flag = flag("Whether their quotas do not count.")
    allowed_ips: Items = items("Addresses that may pass.")
    enable_ip_whitelisting: Flag = flag("Whether only they may.")
    blacklisted_ips: Items = items("Addresses that may not pass.")
    enable_ip_blacklisting: Flag = flag("Whether they may not.")
    ip_access_control_disabled: Flag = flag("Whether a list without its switch does not count.")
    CORS: Cors = field(Cors(), help="Requests of other origins.")
    version_data: VersionData = field(VersionData(), help="The versions.")
    definition: Versioning = field(Versioning(), help="Where a request says which version it wants.")
    custom_middleware: Annotated[dict[str, object], Holds(CustomMiddleware)] = field(
        {}, empty=True, help="The hooks."
    )
    custom_middleware_bundle: Text = text("The bundle that has them.")
    custom_middleware_bundle_disabled: Flag = flag("Whether it is not used.")
    analytics_plugin: AnalyticsPlugin = field(AnalyticsPlugin(), help="What sees the records.")
    config_data: object = field(None, help="Free data for hooks.")
    # What Tyk's database and its editor write: hooks see it with the rest of the definition.
    id: object = field(None, help="The id of its record.")
    slug: object = field(None, help="A short name.")
    checksum: object = field(None, help="Of what was written.")
    last_schema_update: object = field(None, help="When the schema was.")
    updated_at: object = field(None, help="When the record was.")
    plugmw: Annotated[
        dict[str, object], Holds({"sessions": list[SessionFields], "policies": dict[str, PolicyFields]})
    ] = field({}, empty=True, help="What is not Tyk's.")


@config
class Own:
    """The section ``plugmw``; its other keys are settings of a gateway."""

    plugins: object = field(None, help="Entries.")
    consumers: object = field(None, help="Consumers.")
    sessions: Items = items("Sessions with their tokens.")
    policies: dict[str, object] = field({}, empty=True, help="What sessions that name one may do, by its id.")
    tyk_conf: object = field(None, help="The file tyk.conf, or its values.")
    version: object = field(None, help="The gateway's version, as in names of plugin files.")
    strict: Flag | None = field(None, help="Whether hooks that cannot be loaded are errors; unless `compat`.")
    compat: Flag = flag("Whether Tyk's behaviour is kept where plugmw's differs.")
