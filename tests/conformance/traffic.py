"""Cases whose ``expect`` is a list: one answer, and what the application saw, per request sent."""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from plugmw import ConfigError, Gateway, Plugin
from plugmw.stores import open_store
from tests.conformance import functions, ldap
from tests.conformance.match import Headers, at_path, header, json_equal, values_of

CASE_KEYS = {
    *("plugin", "id", "config", "consumers", "requests", "upstream", "expect", "source"),
    *("environment", "with_plugins", "instances", "note", "recipe", "function_notation"),
}
ENVIRONMENT_KEYS = {
    *("now", "scheme", "http_version", "trusted_ips", "real_ip_header", "real_ip_recursive", "redis", "ldap"),
    *("shared", "uri_captures", "authenticated_credential", "templates", "later_plugin_raises_in"),
}
REQUEST_KEYS = {
    *("method", "path", "query", "headers", "body", "remote_addr", "repeat", "at_offset_seconds"),
    *("instance", "upstream_headers"),
}
#: Credentials of a case by plugin, and the field of a consumer that holds them here.
CREDENTIALS = {
    "key-auth": "keyauth_credentials",
    "basic-auth": "basicauth_credentials",
    "jwt": "jwt_secrets",
    "hmac-auth": "hmacauth_credentials",
    "oauth2": "oauth2_credentials",
}
#: Kong's own defaults where plugmw has another one on purpose.
KONG_DEFAULTS: dict[str, dict[str, Any]] = {"correlation-id": {"header_name": "Kong-Request-ID"}}


def run(case: dict[str, Any]) -> list[str]:
    """Run a case; return what was wrong."""
    unknown = set(case) - CASE_KEYS | set(case.get("environment") or {}) - ENVIRONMENT_KEYS
    if unknown:
        return [f"unknown keys {sorted(unknown)}"]
    return _Case(case).run()


class _Case:
    """One case on its way: a gateway per instance, one clock, one store, the captured values."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.environment = case.get("environment") or {}
        self.offset = 0.0
        self.captured: dict[str, str] = {}
        self.log: list[str] = []
        self.app = _App(case["upstream"])
        self.store = open_store("memory://", clock=self.clock)
        self.gateways: dict[str | None, Gateway] = {}

    def clock(self) -> float:
        return float(self.environment.get("now", time.time())) + self.offset

    def run(self) -> list[str]:
        expected = self.case["expect"]
        with ldap.directory(self.environment.get("ldap")):
            if any("config_error" in one for one in expected):
                return self._refused(expected[0])
            try:
                answers = list(self._answers())
            except ConfigError as error:
                # To refuse a configuration is as good as to answer 500 under it and never ask the app.
                failing = all(one["status"] == 500 and not one["upstream_saw"]["called"] for one in expected)
                return [] if failing and blamed(error) else [f"the configuration was refused: {error}"]
        if len(answers) != len(expected):
            return [f"{len(expected)} answers expected, {len(answers)} requests sent"]
        return [f"answer {i}: {p}" for i, problems in enumerate(answers) for p in problems]

    def _refused(self, expect: dict[str, Any]) -> list[str]:
        try:
            self._gateway(None)
        except ConfigError as error:
            # The wording is a guide; that it is this plugin's configuration that was refused is not.
            return [] if blamed(error) else [f"expected {expect['config_error']!r}, found {error}"]
        return [f"expected {expect['config_error']!r}, found an accepted configuration"]

    def _answers(self) -> Iterator[list[str]]:
        """Send every request as often as it says; yield what was wrong with each answer."""
        expected = iter(self.case["expect"])
        for request in self.case["requests"]:
            unknown = set(request) - REQUEST_KEYS
            if unknown:
                yield [f"unknown request keys {sorted(unknown)}"]
                continue
            for _ in range(request.get("repeat", 1)):
                self.offset = request.get("at_offset_seconds", 0)
                answer = self._send(request)
                yield self._check(next(expected), answer)

    # -- the gateway --------------------------------------------------------------------------------

    def _gateway(self, name: str | None) -> Gateway:
        if name not in self.gateways:
            self.gateways[name] = self._build(name)
        return self.gateways[name]

    def _build(self, name: str | None) -> Gateway:
        case, environment = self.case, self.environment
        entry: dict[str, Any] = {"name": case["plugin"], "config": case["config"]}
        document: dict[str, Any] = {"consumers": [_consumer(c) for c in case["consumers"]]}
        if name is not None:
            instance = case["instances"][name]
            entry |= {"config": instance["config"], "service": instance.get("service_id", name)}
            document["routes"] = [{"name": name, "paths": ["/"], "service": entry["service"]}]
        entry["config"] = {**KONG_DEFAULTS.get(case["plugin"], {}), **entry["config"]}
        entries = [entry, *copy.deepcopy(case.get("with_plugins") or [])]
        for one in entries:
            one["config"] = functions.prepared(one["name"], one.get("config") or {}, self.log)
        if "trusted_ips" in environment:
            document["trusted"] = environment["trusted_ips"]
        document["real_ip_header"] = environment.get("real_ip_header", "X-Real-IP")
        document["real_ip_recursive"] = environment.get("real_ip_recursive", False)
        extra = []
        if "later_plugin_raises_in" in environment:
            extra.append(_raising(environment["later_plugin_raises_in"]))
        return Gateway(self.app, document, plugins=[*entries, *extra], store=self.store, clock=self.clock)

    # -- a request ----------------------------------------------------------------------------------

    def _filled(self, value: Any) -> Any:
        """Put captured values in for {{name}}."""
        if isinstance(value, str):
            return re.sub(r"\{\{(\w+)\}\}", lambda m: self.captured.get(m[1], m[0]), value)
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if isinstance(value, dict):
            return {key: self._filled(item) for key, item in value.items()}
        return value

    def _send(self, request: dict[str, Any]) -> _Answer:
        environ = _environ(self._filled(request), self.environment)
        self.app.begin(request.get("upstream_headers") or {})
        answer = _Answer()
        iterable = self._gateway(request.get("instance"))(environ, answer.start)
        try:
            answer.body = b"".join(iterable)
        finally:
            getattr(iterable, "close", lambda: None)()
        answer.saw = self.app.saw
        return answer

    # -- the answer -----------------------------------------------------------------------------------

    def _check(self, expect: dict[str, Any], answer: _Answer) -> list[str]:
        problems: list[str] = []
        for key, wanted in expect.items():
            check = getattr(self, f"_check_{key}", None)
            if check is None:
                problems.append(f"unknown key {key!r} in expect")
            else:
                problems += check(wanted, answer)
        return problems

    def _check_status(self, wanted: Any, answer: _Answer) -> list[str]:
        same = wanted is None or answer.status == wanted
        return [] if same else [f"status: expected {wanted}, found {answer.status} {answer.body[:200]!r}"]

    def _check_headers(self, wanted: dict[str, Any], answer: _Answer) -> list[str]:
        saw = answer.saw.headers if answer.saw else []
        return [
            p for n, v in wanted.items() for p in header("header", n, self._filled(v), answer.headers, saw)
        ]

    def _check_headers_absent(self, wanted: list[str], answer: _Answer) -> list[str]:
        found = [(name, values_of(answer.headers, name)) for name in wanted]
        return [f"header {name}: expected none, found {values!r}" for name, values in found if values]

    def _check_body_contains(self, wanted: Any, answer: _Answer) -> list[str]:
        texts = wanted if isinstance(wanted, list) else [wanted]
        body = answer.body.decode("utf-8", "replace")
        return [
            f"body: expected {t!r} in it, found {body[:300]!r}" for t in texts if self._filled(t) not in body
        ]

    def _check_body_text(self, wanted: str, answer: _Answer) -> list[str]:
        body = answer.body.decode("utf-8", "replace")
        return [] if body == self._filled(wanted) else [f"body: expected {wanted!r}, found {body[:300]!r}"]

    def _check_body_json(self, wanted: Any, answer: _Answer) -> list[str]:
        return json_equal("body", self._filled(wanted), _json(answer.body))

    def _check_body_json_path(self, wanted: dict[str, Any], answer: _Answer) -> list[str]:
        problems: list[str] = []
        for path, value in wanted.items():
            try:
                found = at_path(_json(answer.body), path)
            except (KeyError, IndexError, ValueError):
                problems.append(f"body {path}: expected {value!r}, found none")
            else:
                problems += json_equal(f"body {path}", self._filled(value), found)
        return problems

    def _check_body_json_absent(self, wanted: list[str], answer: _Answer) -> list[str]:
        problems = []
        for path in wanted:
            try:
                problems.append(f"body {path}: expected none, found {at_path(_json(answer.body), path)!r}")
            except (KeyError, IndexError, ValueError):
                continue
        return problems

    def _check_capture(self, wanted: dict[str, Any], answer: _Answer) -> list[str]:
        problems = []
        for name, rule in wanted.items():
            kind, _, path = rule["from"].partition(":")
            try:
                if kind == "json":
                    text = str(at_path(_json(answer.body), path))
                elif kind == "header":
                    text = values_of(answer.headers, path)[0]
                else:
                    raise KeyError(rule["from"])
                found = re.search(rule["regex"], text) if "regex" in rule else None
                self.captured[name] = (found[1] if found and found.groups() else text) if found else text
                if "regex" in rule and not found:
                    problems.append(f"capture {name}: {text!r} does not match {rule['regex']!r}")
            except (KeyError, IndexError, ValueError) as error:
                problems.append(f"capture {name}: {error!r} in {answer.body[:200]!r}")
        return problems

    def _check_function_log(self, wanted: list[str], answer: _Answer) -> list[str]:
        return [] if self.log == wanted else [f"function_log: expected {wanted!r}, found {self.log!r}"]

    def _check_upstream_saw(self, wanted: dict[str, Any], answer: _Answer) -> list[str]:
        called = wanted.get("called", True)
        if not called or answer.saw is None:
            same = called == (answer.saw is not None)
            return [] if same else [f"upstream: expected called {called}, found {not called}"]
        return [p for key, value in wanted.items() for p in self._saw(key, self._filled(value), answer.saw)]

    def _saw(self, key: str, wanted: Any, saw: _Saw) -> list[str]:
        if key == "called":
            return []
        if key == "headers":
            return [p for n, v in wanted.items() for p in header("upstream", n, v, saw.headers)]
        if key == "headers_absent":
            found = [(name, values_of(saw.headers, name)) for name in wanted]
            return [f"upstream {name}: expected none, found {values!r}" for name, values in found if values]
        if key == "query":
            query: Any = saw.query if isinstance(wanted, str) else _grouped(saw.query)
            return [] if query == wanted else [f"upstream query: expected {wanted!r}, found {query!r}"]
        if key in ("method", "path"):
            value = getattr(saw, key)
            return [] if value == wanted else [f"upstream {key}: expected {wanted!r}, found {value!r}"]
        if key == "body":
            return _body("upstream body", wanted, saw)
        return [f"unknown key {key!r} in upstream_saw"]


# -- the two ends --------------------------------------------------------------------------------------


class _Answer:
    """What the client got, and what the application saw of the request."""

    status = 0
    headers: Headers
    body = b""
    saw: _Saw | None = None

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        self.status, self.headers = int(status[:3]), list(headers)
        return lambda data: None


class _Saw:
    """A request as the application got it."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.method = environ["REQUEST_METHOD"]
        self.path = environ.get("PATH_INFO", "")
        self.query = environ.get("QUERY_STRING", "")
        self.headers = [
            (key[5:].replace("_", "-"), value) for key, value in environ.items() if key.startswith("HTTP_")
        ]
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                self.headers.append((key.replace("_", "-"), environ[key]))
        length = environ.get("CONTENT_LENGTH")
        self.body = environ["wsgi.input"].read(int(length) if length else -1)


class _App:
    """The application of a case."""

    def __init__(self, upstream: dict[str, Any]) -> None:
        self.upstream = upstream
        self.begin({})

    def begin(self, headers: dict[str, Any]) -> None:
        self.extra, self.saw = headers, None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.saw = _Saw(environ)
        body = _text(self.upstream.get("body", ""))
        headers = [
            pair for source in (self.upstream.get("headers") or {}, self.extra) for pair in _fields(source)
        ]
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{self.upstream.get('status', 200)} Status", headers)
        return [body] if environ["REQUEST_METHOD"] != "HEAD" else []


def _fields(headers: dict[str, Any]) -> list[tuple[str, str]]:
    return [(n, str(one)) for n, v in headers.items() for one in (v if isinstance(v, list) else [v])]


def _text(body: Any) -> bytes:
    if isinstance(body, dict):
        return body["repeat_char"].encode() * body["length"]
    return str(body or "").encode()


def _environ(request: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
    """Return the environ that gunicorn makes of a request: repeated fields joined by commas."""
    import io
    import sys

    body = _text(request.get("body", ""))
    scheme = environment.get("scheme", "http")
    path, query = request["path"], request.get("query", "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": f"{path}?{query}" if query else path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "443" if scheme == "https" else "80",
        "SERVER_PROTOCOL": f"HTTP/{environment.get('http_version', '1.1')}",
        "REMOTE_ADDR": request.get("remote_addr", "127.0.0.1"),
        "HTTP_HOST": "gateway.test",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in (request.get("headers") or {}).items():
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
        environ[key] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if body and "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" not in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    _surroundings(environ, environment)
    return environ


def _surroundings(environ: dict[str, Any], environment: dict[str, Any]) -> None:
    """Set what a case says was there before the chain."""
    if "shared" in environment:
        environ["plugmw.ctx"] = dict(environment["shared"])
    captures = environment.get("uri_captures")
    if captures is not None:
        numbered = {int(k): v for k, v in captures.items() if k.isdigit()}
        unnamed = [numbered[i] for i in sorted(numbered) if i]
        environ["wsgiorg.routing_args"] = unnamed, {k: v for k, v in captures.items() if not k.isdigit()}
    credential = environment.get("authenticated_credential")
    if credential is not None:
        from plugmw.kernel.identity import Credential

        environ["plugmw.credential"] = Credential(
            id=str(credential.get("id", "")),
            consumer_id=str(credential.get("consumer_id", "")),
            data=credential,
        )


def _consumer(given: dict[str, Any]) -> dict[str, Any]:
    """Return a consumer of a case in the form of the configuration."""
    made: dict[str, Any] = {k: given[k] for k in ("id", "username", "custom_id") if given.get(k) is not None}
    made["acls"] = [{"group": group} for group in given.get("groups") or []]
    for plugin, credentials in (given.get("credentials") or {}).items():
        made[CREDENTIALS[plugin]] = [
            {key: value for key, value in one.items() if value is not None} for one in credentials
        ]
    return made


def blamed(error: ConfigError) -> bool:
    """Say whether it is the configuration of the case's own plugin that was refused."""
    return any(one.path.startswith("plugins[0].config") for one in getattr(error, "errors", [error]))


def _raising(phase: str) -> Plugin:
    """Return a plugin of the lowest priority that raises in ``phase``."""

    def fail(self: Any, x: Any, *rest: Any) -> None:
        raise RuntimeError("a later plugin raises")

    return type("Raising", (Plugin,), {"name": "raising", "priority": -10_000, phase: fail})()


def _json(body: bytes) -> Any:
    return json.loads(body)


def _grouped(query: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in made:
            made[name] = [*(made[name] if isinstance(made[name], list) else [made[name]]), value]
        else:
            made[name] = value
    return made


def _body(where: str, wanted: Any, saw: _Saw) -> list[str]:
    """Compare the body the application got: exact text, or ``{form|json|multipart|length}``."""
    if not isinstance(wanted, dict):
        found = saw.body.decode("utf-8", "replace")
        return [] if found == wanted else [f"{where}: expected {wanted!r}, found {found[:300]!r}"]
    problems: list[str] = []
    for kind, value in wanted.items():
        if kind == "length":
            got: Any = len(saw.body)
        elif kind == "json":
            got = json.loads(saw.body)
        elif kind == "form":
            got = _grouped(saw.body.decode())
        elif kind == "multipart":
            got = _parts(saw)
        else:
            problems.append(f"unknown key {kind!r} in upstream_saw.body")
            continue
        if got != value:
            problems.append(f"{where} {kind}: expected {value!r}, found {got!r}")
    return problems


def _parts(saw: _Saw) -> dict[str, Any]:
    import io

    from werkzeug.formparser import parse_form_data

    environ = {
        "wsgi.input": io.BytesIO(saw.body),
        "CONTENT_LENGTH": str(len(saw.body)),
        "CONTENT_TYPE": values_of(saw.headers, "content-type")[0],
        "REQUEST_METHOD": "POST",
    }
    _, form, files = parse_form_data(environ)
    made: dict[str, Any] = {name: form.getlist(name) for name in form}
    made |= {name: [file.read().decode() for file in files.getlist(name)] for name in files}
    return {name: values[0] if len(values) == 1 else values for name, values in made.items()}
