"""Cases whose ``expect`` is a mapping: what the client, the sink and the operator's log got."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from plugmw import ConfigError, Gateway, Plugin
from plugmw.kernel.identity import Consumer, Credential
from tests.conformance import arrived, queues, served, sinks, traffic
from tests.conformance.match import matched, values_of

CASE_KEYS = {
    *("plugin", "id", "config", "requests", "upstream", "expect", "source", "sink", "context", "note"),
    *("environment", "more_entries", "scope", "actions_after", "unit", "steps"),
}
#: The keys that each part of a case may have.
KEYS = {
    "context": {"service", "route", "consumer", "credential", "workspace"},
    "upstream": {
        *("status", "body", "delay_s", "echo", "header_list", "headers", "not_called", "targets"),
    },
    "expect": {
        *("client", "client_never_contains", "sink", "log", "log_never_contains", "timing"),
        *("config_error", "upstream_headers", "service_object_unchanged"),
    },
    "timing": {"client_p99_within_s"},
}
REQUEST_KEYS = {"method", "path", "headers", "header_list", "body", "repeat", "only_these_headers"}
ACTION_KEYS = {"reload": {"config"}, "restart_sink": set(), "sleep": {"s"}}
#: Seconds for what is expected to come, and for what waits when the gateway stops.
PATIENCE = 2.0


def run(case: dict[str, Any]) -> list[str]:
    """Run a case; return what was wrong."""
    unknown = _unknown(case)
    if unknown:
        return unknown
    if "unit" in case:
        return queues.run(case)
    if "actions_after" in case:
        return served.run(case)
    with tempfile.TemporaryDirectory() as folder, sinks.opened(case.get("sink") or {}, Path(folder)) as sink:
        filled = filling(case, sink, Path(folder))
        with _environment(filled.get("environment") or {}):
            return _Case(filled, sink).run()


def _unknown(case: dict[str, Any]) -> list[str]:
    own = {"unit": queues, "actions_after": served}
    special = next((module for key, module in own.items() if key in case), None)
    parts = {key: case.get(key) or {} for key in ("context", "upstream", "expect")}
    parts["timing"] = parts["expect"].get("timing") or {}
    keys = KEYS if special is None else {**KEYS, **special.KEYS}
    found = [f"unknown key {key!r}" for key in sorted(set(case) - CASE_KEYS)]
    for name, part in parts.items():
        found += [f"unknown key {key!r} in {name}" for key in sorted(set(part) - keys[name])]
    for request in case["requests"]:
        action = request.get("action")
        if action is not None and action not in ACTION_KEYS:
            found.append(f"unknown action {action!r}")
            continue
        known = REQUEST_KEYS if action is None else {"action", *ACTION_KEYS[action]}
        found += [f"unknown key {key!r} in a request" for key in sorted(set(request) - known)]
    if case.get("scope") not in (None, "global"):
        found.append(f"unknown scope {case['scope']!r}")
    return found + sinks.unknown(case.get("sink") or {})


def filling(value: Any, sink: sinks.Sink, folder: Path) -> Any:
    """Put in what ``${SINK}`` and the like stand for; a port that is a whole value becomes a number."""
    host = socket.gethostname()
    places = {
        "SINK": f"{sink.host}:{sink.port}",
        "SINK_HOST": sink.host,
        "SINK_PORT": str(sink.port),
        "FILE": str(folder / "file.log"),
        "DIR": str(folder),
        "HOSTNAME": host,
        "HOSTNAME with . as _": host.replace(".", "_"),
    }

    def fill(value: Any) -> Any:
        if value == "${SINK_PORT}":
            return sink.port
        if isinstance(value, str):
            return re.sub(r"\$\{([^}]*)\}", lambda found: places.get(found[1]) or _no_place(found[0]), value)
        if isinstance(value, list):
            return [fill(item) for item in value]
        return {key: fill(item) for key, item in value.items()} if isinstance(value, dict) else value

    return fill(value)


def _no_place(text: str) -> str:
    raise ValueError(f"unknown placeholder {text}")


@contextlib.contextmanager
def _environment(given: dict[str, Any]) -> Iterator[None]:
    """Set environment variables; None is none. Metrics are counted in this process."""
    given = {"PROMETHEUS_MULTIPROC_DIR": None, **given}
    with mock.patch.dict(os.environ, {key: str(value) for key, value in given.items() if value is not None}):
        for key in [key for key, value in given.items() if value is None]:
            os.environ.pop(key, None)
        yield


class Lines(logging.Handler):
    """The operator's log: the text of every record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        # Plugins write to children of it.
        self.logger = logging.getLogger("conformance.case")
        self.logger.setLevel(logging.DEBUG)
        self.logger.propagate = False
        self.logger.handlers = [self]

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())

    def problems(self, wanted: list[Any]) -> list[str]:
        """Return which matchers no line fits."""
        texts = list(self.texts)
        left = [one for one in wanted if all(matched("", one, text) for text in texts)]
        return [f"log: expected {one!r}, found {texts[:10]!r}" for one in left]


class _Case:
    """One case on its way: a gateway, the answers it gave, the lines it wrote."""

    def __init__(self, case: dict[str, Any], sink: sinks.Sink) -> None:
        self.case, self.sink = case, sink
        self.expect = case["expect"]
        self.log = Lines()
        self.app = _App(case["upstream"] or {})
        self.answers: list[_Answer] = []
        self.scrape = ""

    def run(self) -> list[str]:
        if "config_error" in self.expect:
            return self._refused()
        with self._targets() as url:
            self.url = url
            try:
                self.gateway = self._build(self.case["config"])
            except ConfigError as error:
                return [f"the configuration was refused: {error}"]
            try:
                for request in self.case["requests"]:
                    self._act(request)
                self._wait()
            finally:
                self.gateway.stop()
        self.sink.settle()
        problems = [p for key, value in self.expect.items() for p in getattr(self, f"_check_{key}")(value)]
        if self.app.upstream.get("not_called") and self.app.saw:
            problems.append("upstream: expected not to be called")
        return problems

    def _refused(self) -> list[str]:
        wanted = self.expect["config_error"]
        others = [key for key in self.expect if key != "config_error"]
        if others:
            return [f"{key}: not checked beside config_error" for key in others]
        self.url = None
        try:
            self._build(self.case["config"]).stop()
        except ConfigError as error:
            # The wording is a guide; that it is this plugin's configuration that was refused is not.
            return [] if traffic.blamed(error) else [f"expected {wanted!r}, found {error}"]
        return [f"expected {wanted!r}, found an accepted configuration"]

    # -- the gateway --------------------------------------------------------------------------------

    def _build(self, config: dict[str, Any]) -> Gateway:
        case = self.case
        if self.sink.path:
            config = {"address": self.sink.path, **config}
        entries: list[Any] = [{"name": case["plugin"], "config": config}, *case.get("more_entries", [])]
        context = case.get("context")
        if context:
            entries.append(_Known(context))
        document = {"shutdown_timeout": PATIENCE, **scope_of(context, self.url)}
        return Gateway(self.app, document, plugins=entries, store=None, logger=self.log.logger)

    @contextlib.contextmanager
    def _targets(self) -> Iterator[str | None]:
        """Start the upstream's targets; yield the URL that leads to one after the other at each try."""
        targets = (self.case["upstream"] or {}).get("targets")
        if not targets:
            yield None
            return
        with contextlib.ExitStack() as stack:
            ports = []
            for target in targets:
                if target.get("port") == "closed":
                    with socket.create_server(("127.0.0.1", 0)) as closed:
                        ports.append(closed.getsockname()[1])
                    continue
                given = {"type": "http", "status": target["status"], "payload": target["body"]}
                server = sinks.HTTP(given)
                stack.callback(server.close)
                ports.append(server.port)
            first = ports[0]
            stack.enter_context(sinks.leading({("127.0.0.1", first): ports}))
            yield f"http://127.0.0.1:{first}"

    # -- requests -----------------------------------------------------------------------------------

    def _act(self, request: dict[str, Any]) -> None:
        action = request.get("action")
        if action == "reload":
            self.gateway.stop()
            self.gateway = self._build(request["config"])
        elif action == "restart_sink":
            self._until(lambda: bool(self.sink.messages))
            self.sink.restart()
        elif action == "sleep":
            time.sleep(request["s"])
        else:
            for _ in range(request.get("repeat", 1)):
                self.answers.append(self._send(request))

    def _send(self, request: dict[str, Any]) -> _Answer:
        answer, environ = _Answer(), environ_of(request)
        begun = time.monotonic()
        iterable: Any = self.gateway(environ, answer.start)
        try:
            answer.body = b"".join(iterable)
        finally:
            getattr(iterable, "close", lambda: None)()
        answer.seconds = time.monotonic() - begun
        return answer

    # -- what came of it ----------------------------------------------------------------------------

    def _wait(self) -> None:
        """Wait until all that is expected at the sink and in the log has come, if it does come."""
        if self.case.get("sink", {}).get("type") == "scrape":
            self.scrape = self._scraped()
        self._until(lambda: not self._missing())

    def _until(self, true: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not true() and time.monotonic() < end:
            self.sink.wait(0.02)

    def _missing(self) -> list[str]:
        return self._check_sink(self.expect.get("sink") or {}) + self.log.problems(
            self.expect.get("log") or []
        )

    def _scraped(self) -> str:
        from plugmw.contrib.prometheus import Exporter

        answer = _Answer()
        body = Exporter(self.gateway)(environ_of({"method": "GET", "path": "/metrics"}), answer.start)
        return b"".join(body).decode()

    def _check_sink(self, wanted: dict[str, Any]) -> list[str]:
        return arrived.problems_of(wanted, self.sink, self.scrape)

    def _check_log(self, wanted: list[Any]) -> list[str]:
        return self.log.problems(wanted)

    def _check_log_never_contains(self, wanted: list[str]) -> list[str]:
        found = "\n".join(self.log.texts)
        return [f"log: expected no {text!r}, found {found[:500]!r}" for text in wanted if text in found]

    def _check_timing(self, wanted: dict[str, float]) -> list[str]:
        times = sorted(answer.seconds for answer in self.answers)
        slow = times[int(len(times) * 0.99) - 1]
        return matched("timing", {"$lte": wanted["client_p99_within_s"]}, slow)

    def _check_service_object_unchanged(self, wanted: Any) -> list[str]:
        services = [service.described() for service in self.gateway.plan.services.values()]
        return matched("service", [wanted], services)

    def _check_upstream_headers(self, wanted: dict[str, Any]) -> list[str]:
        return _headers("upstream", wanted, self.app.saw.headers if self.app.saw else [])

    def _check_client_never_contains(self, wanted: list[str]) -> list[str]:
        found = "".join(f"{answer.headers}{answer.body.decode('latin-1')}" for answer in self.answers)
        return [f"client: expected no {text!r}, found {found[:500]!r}" for text in wanted if text in found]

    def _check_client(self, wanted: dict[str, Any]) -> list[str]:
        answers = self.answers if wanted.get("all") else self.answers[-1:]
        problems = [] if answers else ["client: no request was sent"]
        for answer in answers:
            for key, value in wanted.items():
                check = _CLIENT.get(key)
                problems += check(value, answer) if check else [f"unknown key {key!r} in client"]
        return problems


# -- the two ends --------------------------------------------------------------------------------------


class _Answer(traffic._Answer):
    """What the client got, and how long it took."""

    seconds = 0.0


class _App:
    """The application of a case."""

    def __init__(self, upstream: dict[str, Any]) -> None:
        self.upstream = upstream
        self.saw: traffic._Saw | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.saw = traffic._Saw(environ)
        given = self.upstream
        time.sleep(given.get("delay_s", 0))
        status = given.get("status", 200)
        if status == "from_path":
            status = int(environ["PATH_INFO"].rpartition("/")[2])
        body = b"" if status in (204, 304) else str(given.get("body", "")).encode()
        headers = [*map(tuple, given.get("header_list", [])), *(given.get("headers") or {}).items()]
        if status not in (204, 304) and not values_of(headers, "content-length"):
            headers.append(("Content-Length", str(len(body))))
        start_response(f"{status} Status", headers)
        return [body]


class _Known(Plugin):
    """Stands in for authentication, and for the workspace that plugmw has not."""

    name, priority = "known", 100_000

    def __init__(self, context: dict[str, Any]) -> None:
        super().__init__()
        consumer, credential = context.get("consumer"), context.get("credential")
        self.who = Consumer(**consumer) if consumer else None
        self.by = Credential(id=credential["id"], consumer_id=consumer["id"]) if credential else None
        self.workspace = context.get("workspace") or {}

    def access(self, x: Any) -> None:
        from plugmw.telemetry.log_entry import changes_of

        if self.who is not None:
            x.authenticate(self.who, self.by)
        for key, name in (("id", "workspace"), ("name", "workspace_name")):
            if key in self.workspace:
                changes_of(x).append((name, self.workspace[key], "set"))


def scope_of(context: dict[str, Any] | None, url: str | None = None) -> dict[str, Any]:
    """Return services and routes; a case with an empty context is about requests that no route takes."""
    if context is None:
        return {}
    if "route" not in context:
        return {"unrouted": "404", "routes": [{"name": "elsewhere", "paths": ["/elsewhere"]}]}
    service, route = context["service"], context["route"]
    # What has no name in Kong is called by its host or id here, where names are needed.
    named = {"name": service.get("name") or service["host"], "id": service.get("id", "")}
    paths = [path.replace("(?<", "(?P<") for path in route.get("paths", ["/"])]
    one = {
        "id": route["id"],
        "name": route.get("name") or route["id"],
        "paths": paths,
        "service": named["name"],
    }
    return {"services": [{**named, "url": url} if url else named], "routes": [one]}


class _Unjoined(dict[str, Any]):
    """An environ of a server that does not join repeated fields, to whoever looks at all of them."""

    repeated: dict[str, list[str]]

    def items(self) -> Any:
        for key, value in super().items():
            for one in self.repeated.get(key, [value]):
                yield key, one


def environ_of(request: dict[str, Any]) -> dict[str, Any]:
    """Return the environ of a request of a log case."""
    path, _, query = request["path"].partition("?")
    headers: dict[str, Any] = dict(request.get("headers") or {})
    for name, value in request.get("header_list") or ():
        headers[name] = [*headers.get(name, []), value]
    plain = {key: request[key] for key in ("method", "body") if key in request}
    environ = traffic._environ({**plain, "path": path, "query": query, "headers": headers}, {})
    if request.get("only_these_headers"):
        if not any(name.lower() == "host" for name in headers):
            del environ["HTTP_HOST"]
        unjoined = _Unjoined(environ)
        unjoined.repeated = {
            "HTTP_" + name.upper().replace("-", "_"): values
            for name, values in headers.items()
            if isinstance(values, list)
        }
        return unjoined
    return environ


# -- the client ------------------------------------------------------------------------------------------


def _headers(where: str, wanted: dict[str, Any], found: Any) -> list[str]:
    joined: dict[str, str] = {}
    for name, value in found:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return matched(f"{where} headers", wanted, joined)


def _lines(wanted: dict[str, list[str]], answer: _Answer) -> list[str]:
    found = {name: values_of(answer.headers, name) for name in wanted}
    return matched("client header_lines", wanted, found)


_CLIENT: dict[str, Any] = {
    "all": lambda wanted, answer: [],
    "status": lambda wanted, answer: matched("client status", wanted, answer.status),
    "headers": lambda wanted, answer: _headers("client", wanted, answer.headers),
    "header_lines": _lines,
    "body": lambda wanted, answer: matched("client body", wanted, answer.body.decode("utf-8", "replace")),
    "body_matches": lambda wanted, answer: matched("client body", {"$re": wanted}, answer.body.decode()),
    "body_gunzips_to": lambda wanted, answer: matched(
        "client", wanted, gzip.decompress(answer.body).decode()
    ),
    "json": lambda wanted, answer: matched("client json", wanted, json.loads(answer.body)),
}
