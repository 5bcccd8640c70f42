"""The plugins that the configurations of ``answers.json`` name; the original ran the same ones in Go."""

from __future__ import annotations

import json

from plugmw.dialects.krakend import ModifierError


def set_request(name):
    def factory(extra):
        wanted = extra[name]

        def modifier(request):
            request.params.update(wanted.get("params", {}))
            request.headers.update(wanted.get("headers", {}))
            request.query.update(wanted.get("query", {}))
            request.method = wanted.get("method", request.method)
            request.path = wanted.get("path", request.path)
            if "body" in wanted:
                request.body = wanted["body"]
            if "url_path" in wanted and request.url is not None:
                scheme, _, rest = request.url.partition("://")
                request.url = f"{scheme}://{rest.partition('/')[0]}{wanted['url_path']}"

        return modifier

    return factory


def set_response(name):
    def factory(extra):
        wanted = extra[name]

        def modifier(response):
            response.status_code = wanted.get("status", response.status_code)
            response.headers = wanted.get("headers", response.headers)
            response.data = wanted.get("data", response.data)
            response.is_complete = wanted.get("complete", response.is_complete)
            if "trace" in wanted:
                response.data["trace"] = response.data.get("trace", "") + wanted["trace"]
            if "body" in wanted:
                response.io = wanted["body"]

        return modifier

    return factory


def failing(name):
    def factory(extra):
        wanted = extra[name]

        def modifier(wrapper):
            if "status" not in wanted:
                return None, wanted["message"]
            raise ModifierError(
                wanted["message"], wanted["status"], wanted.get("encoding", ""), wanted.get("headers")
            )

        return modifier

    return factory


def both(extra):
    def modifier(wrapper):
        if hasattr(wrapper, "status_code"):
            wrapper.data["both"] = "response"
        else:
            wrapper.headers["X-Both"] = ["request"]
        return wrapper

    return modifier


def panicking(extra):
    def modifier(request):
        raise KeyError("crash")

    return modifier


class Registerer:
    def register_modifiers(self, f):
        for name in ("set-request", "set-request-2"):
            f(name, set_request(name), True, False)
        for name in ("set-response", "set-response-2"):
            f(name, set_response(name), False, True)
        f("fail-request", failing("fail-request"), True, False)
        f("fail-response", failing("fail-response"), False, True)
        f("panic-request", panicking, True, False)
        f("foreign-request", lambda extra: lambda request: 5, True, False)
        f("nil-response", lambda extra: lambda response: None, False, True)
        f("both", both, True, True)

    def register_clients(self, f):
        f("echo-client", self.echo)

    def echo(self, context, extra):
        wanted = extra["echo-client"]

        def handler(w, req):
            told = {
                "method": req.method,
                "path": req.url_path,
                "query": req.query_string,
                "header": req.headers.get("X-Test", ""),
                "body": req.text,
            }
            w.header()["X-Client"] = "echo"
            w.header()["Content-Type"] = "application/json"
            w.write_header(wanted.get("status", 200))
            w.write(json.dumps(told, sort_keys=True, separators=(",", ":")).replace("&", "\\u0026"))

        return handler


ModifierRegisterer = ClientRegisterer = Registerer()
