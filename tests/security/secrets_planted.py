"""Secrets of every kind, a gateway with every bundled plugin that has them, and where they were found again.

planted = Planted()
planted["key"]                      # "planted-key-5e3c..."; the same at every use
planted.found_in(text)              # names of the secrets that are in a text, in any spelling
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

from tests.support.tokens import LATER, token

#: Everything that is written into the configuration or sent by a client.
KINDS = (
    *("basic-password", "basic-wrong", "key-header", "key-query", "key-body", "key-wrong", "hmac-secret"),
    *(
        "jwt-secret",
        "oauth2-client-secret",
        "oauth2-provision-key",
        "oauth2-wrong-token",
        "oauth2-wrong-code",
    ),
    *("cookie", "set-cookie", "ldap-password", "proxy-password", "bearer-unknown", "store-password"),
    *("redis-password", "aws-key", "aws-secret", "aws-proxy", "azure-key", "azure-client", "galileo-token"),
    *("loggly-token", "http-log-password", "http-log-header", "zipkin-password", "service-password"),
    *("from-env", "from-env-reference", "from-file", "key-store-password"),
)


class Planted(dict):
    """The secrets by name; more can be added that are only known at run time."""

    def __init__(self) -> None:
        super().__init__(
            {kind: f"planted-{kind}-{hashlib.sha256(kind.encode()).hexdigest()[:12]}" for kind in KINDS}
        )

    def found_in(self, text: str) -> set[str]:
        """Return the names of the secrets in a text, as they are or in Base64."""
        return {name for name, secret in self.items() if any(form in text for form in forms(secret))}


def forms(secret: str) -> list[str]:
    """Return a secret as it is, and what stays of it in Base64 wherever it stands in what is encoded."""
    made = [secret]
    for before in (b"", b"x", b"xx"):
        whole = base64.b64encode(before + secret.encode()).decode().rstrip("=")
        inside = whole[(len(before) * 8 + 5) // 6 : -1]
        made += [inside, inside.translate(str.maketrans("+/", "-_"))]
    return made


def consumers(planted: Planted) -> list[dict[str, Any]]:
    """Return consumers with credentials of every kind."""
    return [
        {"username": "guest"},
        {
            "username": "alice",
            "acls": [{"group": "staff"}],
            "keyauth_credentials": [
                {"key": planted[f"key-{place}"]} for place in ("header", "query", "body")
            ],
            "basicauth_credentials": [{"username": "alice", "password": planted["basic-password"]}],
            "hmacauth_credentials": [{"username": "alice", "secret": planted["hmac-secret"]}],
            "jwt_secrets": [{"key": "alice", "secret": planted["jwt-secret"]}],
            "oauth2_credentials": [
                {
                    "name": "shop",
                    "client_id": "shop",
                    "client_secret": planted["oauth2-client-secret"],
                    "redirect_uris": ["https://shop.example/back"],
                }
            ],
        },
    ]


def document(
    planted: Planted, ports: dict[str, Any], folder: Any, store: str = "memory://"
) -> dict[str, Any]:
    """Return a gateway with all plugins; ``ports`` says where the sinks are."""
    (folder / "secret.txt").write_text(planted["from-file"], encoding="utf-8")
    http = {"queue": {"max_retry_time": 0.01, "max_coalescing_delay": 0}}
    here = "127.0.0.1"
    # What a transformer adds for the app is what the operator says it is: log plugins are told its name.
    own = {"redact_headers": ["X-Env"]}
    auth = ["basic-auth", "key-auth", "hmac-auth", "jwt", "oauth2", "ldap-auth"]
    configs: dict[str, dict[str, Any]] = {
        "key-auth": {"key_in_body": True},
        "hmac-auth": {"strict": True},
        "jwt": {"claims_to_verify": ["exp"], "cookie_names": ["jwt"]},
        "oauth2": {
            "enable_authorization_code": True, "enable_client_credentials": True,
            "enable_password_grant": True,
            "provision_key": planted["oauth2-provision-key"], "scopes": ["a"], "global_credentials": True,
        },
        "ldap-auth": {"ldap_host": here, "ldap_port": ports["closed"], "base_dn": "dc=example",
                      "attribute": "uid",
                      "timeout": 500},
        "basic-auth": {},
    }  # fmt: skip
    names = [
        *auth,
        "acl",
        "limited",
        "lambda",
        "lambda-direct",
        "azure",
        "upstream",
        "crash",
        "hidden",
        "anonymous",
    ]
    aws = {
        "aws_region": "eu-central-1",
        "function_name": "f",
        "host": here,
        "port": ports["error"],
        "disable_https": True,
        "aws_key": planted["aws-key"],
        "aws_secret": planted["aws-secret"],
        "forward_request_headers": True,
        "forward_request_body": True,
        "forward_request_uri": True,
    }
    through_proxy = {"proxy_url": f"http://u:{planted['aws-proxy']}@{here}:{ports['closed']}"}
    entries: list[dict[str, Any]] = [{"name": name, "route": name, "config": configs[name]} for name in auth]
    entries += [
        {"name": name, "route": "hidden", "instance": f"hidden-{name}", "config": {
            **configs[name], "hide_credentials": True}}
        for name in ("key-auth", "basic-auth")
    ]  # fmt: skip
    entries += [
        {"name": name, "route": "anonymous", "instance": f"anonymous-{name}", "config": {
            **configs[name], "anonymous": "guest"}}
        for name in auth if name != "ldap-auth"
    ]  # fmt: skip
    entries += [
        {"name": "key-auth", "route": "acl", "instance": "acl-key"},
        {"name": "acl", "route": "acl", "config": {"allow": ["staff"]}},
        {
            "name": "rate-limiting",
            "route": "limited",
            "config": {
                "minute": 2,
                "policy": "redis",
                "redis": {"host": here, "port": ports["redis"], "password": planted["redis-password"]},
            },
        },
        {
            "name": "response-ratelimiting",
            "route": "limited",
            "config": {
                "limits": {"videos": {"minute": 1}},
                "policy": "redis",
                "redis_host": here,
                "redis_port": ports["redis"],
                "redis_password": planted["redis-password"],
            },
        },
        {"name": "aws-lambda", "route": "lambda", "config": {**aws, **through_proxy}},
        {"name": "aws-lambda", "route": "lambda-direct", "config": aws},
        {
            "name": "azure-functions",
            "route": "azure",
            "config": {
                "appname": "shop", "functionname": "f", "hostdomain": "invalid", "timeout": 500,
                "apikey": planted["azure-key"], "clientid": planted["azure-client"], "https": False,
            },
        },
        {"name": "zipkin", "config": {
            "http_endpoint": f"http://{here}:{ports['zipkin']}/api/v2/spans",
            "sample_ratio": 1, **http}},
        {"name": "http-log", "config": {
            "http_endpoint": f"http://u:{planted['http-log-password']}@{here}:{ports['http-log']}/log",
            "headers": {"X-Token": planted["http-log-header"]}, **http, **own}},
        {"name": "galileo", "config": {
            "service_token": planted["galileo-token"], "host": here, "port": ports["galileo"], "https": False,
            "flush_timeout": 0, "retry_count": 1, **own}},
        {"name": "loggly", "config": {
            "key": planted["loggly-token"], "host": here, "port": ports["udp"], **own}},
        {"name": "udp-log", "config": {"host": here, "port": ports["udp"], **own}},
        {"name": "tcp-log", "config": {"host": here, "port": ports["tcp"], **own}},
        {"name": "statsd", "config": {"host": here, "port": ports["udp"]}},
        {"name": "datadog", "config": {"host": here, "port": ports["udp"]}},
        {"name": "syslog", "config": {"address": str(ports["syslog"]), **own}},
        {"name": "file-log", "config": {"path": str(folder / "requests.log"), **own}},
        {"name": "prometheus", "config": {"path": "/metrics", "per_consumer": True}},
        {"name": "cors", "config": {"origins": ["https://shop.example"]}},
        {"name": "ip-restriction", "config": {"deny": ["203.0.113.0/24"]}},
        {"name": "bot-detection", "config": {"deny": ["BadClient"]}},
        {"name": "correlation-id", "config": {"echo_downstream": True}},
        {"name": "request-size-limiting", "config": {"allowed_payload_size": 1}},
        {"name": "request-termination", "route": "crash", "config": {
            "status_code": 503, "trigger": "x-terminate"}},
        {"name": "pre-function", "route": "crash", "config": {
            "access": ["tests.security.secrets_planted:crash"],
            "packages": ["tests.security.secrets_planted"]}},
        {"name": "post-function", "route": "crash", "config": {
            "header_filter": ["tests.security.secrets_planted:crash_later"],
            "log": ["tests.security.secrets_planted:crash_later"],
            "packages": ["tests.security.secrets_planted"]}},
        {"name": "request-transformer", "config": {"add": {"headers": [
            "X-Env:${PLANTED_FROM_ENV}"]}}},
        {"name": "response-transformer", "config": {"add": {"headers": ["X-Served-By:plugmw"]}}},
    ]  # fmt: skip
    consumer = {
        "username": "env",
        "keyauth_credentials": [{"key": "{env://PLANTED_FROM_ENV_REFERENCE}"}],
        "basicauth_credentials": [{"username": "env", "password": "{file://%s}" % (folder / "secret.txt")}],
    }
    return {
        "store": store,
        "trusted": ["127.0.0.1"],
        "shutdown_timeout": 0.2,
        "certificates": [{"cert": ports["certificate"], "key": ports["key"], "snis": ["shop.example"]}],
        "consumers": [*consumers(planted), consumer],
        "services": [
            {"name": "up", "url": f"http://{here}:{ports['closed']}", "connect_timeout": 0.2, "retries": 0}
        ],
        "routes": [
            {"name": n, "paths": [f"/{n}"], **({"service": "up"} if n == "upstream" else {})} for n in names
        ],
        "plugins": entries,
    }


def crash(x: Any) -> None:
    """Fail where a request is told to, with everything about the request at hand."""
    secret = dict(x.environ)
    if "HTTP_X_CRASH" in secret:
        raise RuntimeError("planned")


def crash_later(x: Any) -> None:
    """Fail where a request is told to, when the answer is made."""
    secret = dict(x.environ)
    if "HTTP_X_CRASH_LATER" in secret:
        raise RuntimeError("planned")


def requests(planted: Planted, signed: Any) -> list[tuple[str, str, dict[str, str], bytes]]:
    """Return method, target, headers and body of good and failing requests; ``signed`` makes HMAC headers."""
    good = token({"iss": "alice", "exp": LATER}, key=planted["jwt-secret"])
    bad = token({"iss": "alice", "exp": LATER}, key="wrong")
    late = token({"iss": "alice", "exp": 1}, key=planted["jwt-secret"])
    for name, text in (("jwt-good", good), ("jwt-bad", bad), ("jwt-late", late)):
        planted[name] = text.rpartition(".")[2]
    form = "application/x-www-form-urlencoded"

    def basic(user: str, password: str, scheme: str = "Basic") -> str:
        return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"

    def posted(target: str, body: str) -> tuple[str, str, dict[str, str], bytes]:
        return "POST", target, {"Content-Type": form}, body.encode()

    key, wrong = planted["key-header"], planted["key-wrong"]
    client = f"client_id=shop&client_secret={planted['oauth2-client-secret']}"
    sent: list[tuple[str, str, dict[str, str], bytes]] = [
        ("GET", "/basic-auth", {"Authorization": basic("alice", planted["basic-password"])}, b""),
        ("GET", "/basic-auth", {"Authorization": basic("alice", planted["basic-wrong"])}, b""),
        ("GET", "/basic-auth", {"Authorization": basic("nobody", planted["basic-wrong"])}, b""),
        ("GET", "/basic-auth", {"Proxy-Authorization": basic("alice", planted["proxy-password"])}, b""),
        ("GET", "/basic-auth", {"Authorization": basic("env", planted["from-file"])}, b""),
        ("GET", "/key-auth", {"apikey": key}, b""),
        ("GET", "/key-auth", {"apikey": planted["from-env-reference"]}, b""),
        ("GET", "/key-auth", {"apikey": wrong}, b""),
        ("GET", f"/key-auth?apikey={planted['key-query']}&a=1", {}, b""),
        ("GET", f"/key-auth?a=1&%61pikey={wrong}", {}, b""),
        ("GET", f"/key-auth?apikey={wrong}&apikey={key}", {}, b""),
        ("GET", f"/key-auth?apikey={wrong}", {"apikey": key}, b""),
        posted("/key-auth", f"apikey={planted['key-body']}&b=2"),
        posted("/key-auth", f"apikey={wrong}"),
        ("POST", "/key-auth", {"Content-Type": "application/json"}, b'{"apikey": "%s"' % wrong.encode()),
        ("GET", "/jwt", {"Authorization": f"Bearer {good}"}, b""),
        ("GET", "/jwt", {"Authorization": f"Bearer {bad}"}, b""),
        ("GET", "/jwt", {"Authorization": f"Bearer {late}"}, b""),
        ("GET", "/jwt", {"Authorization": f"Bearer {planted['bearer-unknown']}"}, b""),
        ("GET", f"/jwt?jwt={good}", {}, b""),
        ("GET", "/jwt", {"Cookie": f"jwt={good}; session={planted['cookie']}"}, b""),
        ("GET", "/ldap-auth", {"Authorization": basic("alice", planted["ldap-password"], "ldap")}, b""),
        ("GET", "/oauth2", {"Authorization": f"Bearer {planted['oauth2-wrong-token']}"}, b""),
        ("GET", f"/oauth2?access_token={planted['oauth2-wrong-token']}", {}, b""),
        posted("/oauth2/oauth2/token", f"grant_type=client_credentials&{client}"),
        posted("/oauth2/oauth2/token", f"grant_type=client_credentials&client_id=shop&client_secret={wrong}"),
        posted(
            f"/oauth2/oauth2/token?{client}&grant_type=authorization_code",
            f"code={planted['oauth2-wrong-code']}",
        ),
        posted("/oauth2/oauth2/token", f"grant_type=refresh_token&{client}&refresh_token={wrong}"),
        posted(
            "/oauth2/oauth2/token",
            f"grant_type=password&{client}&provision_key={planted['oauth2-provision-key']}&authenticated_userid=u",
        ),
        posted(
            "/oauth2/oauth2/authorize",
            f"response_type=code&client_id=shop&authenticated_userid=u&provision_key={planted['oauth2-provision-key']}",
        ),
        posted("/oauth2/oauth2/authorize", f"response_type=code&client_id=shop&provision_key={wrong}"),
        ("GET", "/acl", {"apikey": key}, b""),
        ("GET", "/acl", {"apikey": wrong}, b""),
        ("GET", f"/hidden?apikey={key}", {"Authorization": basic("alice", planted["basic-password"])}, b""),
        ("GET", f"/anonymous?apikey={wrong}", {"Authorization": basic("alice", planted["basic-wrong"])}, b""),
        ("GET", "/limited", {"Cookie": f"session={planted['cookie']}"}, b""),
        ("GET", "/lambda", {"Authorization": basic("a", planted["basic-wrong"]), "apikey": wrong}, b""),
        (
            "GET",
            "/lambda-direct",
            {"Authorization": basic("a", planted["basic-wrong"]), "apikey": wrong},
            b"",
        ),
        ("GET", "/azure", {"Authorization": basic("a", planted["basic-wrong"]), "apikey": wrong}, b""),
        ("GET", f"/upstream?apikey={wrong}", {"Authorization": basic("a", planted["basic-wrong"])}, b""),
        ("GET", "/metrics", {}, b""),
        ("GET", f"/nowhere?apikey={wrong}", {"Cookie": f"session={planted['cookie']}"}, b""),
        ("GET", "/%2e%2e;/key-auth%00", {"apikey": wrong}, b""),
        (
            "OPTIONS",
            "/key-auth",
            {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"},
            b"",
        ),
        ("GET", "/key-auth", {"apikey": key, "User-Agent": "BadClient"}, b""),
        ("POST", "/key-auth", {"apikey": key, "Content-Type": form}, b"a" * (1024 * 1024 + 1)),
    ]
    for crash in ("X-Crash", "X-Crash-Later", "X-Terminate", "X-App"):
        headers = {crash: "1", "Authorization": basic("alice", planted["basic-password"]), "apikey": key}
        sent.append(("GET", f"/crash?apikey={key}", {**headers, "Cookie": f"s={planted['cookie']}"}, b""))
    for secret in (planted["hmac-secret"], "wrong"):
        headers = signed(secret)
        planted[f"hmac-{secret[:5]}"] = re.findall('signature="(.*)"', headers["Authorization"])[0]
        sent += [("GET", "/hmac-auth", headers, b"")] * 2
    return sent
