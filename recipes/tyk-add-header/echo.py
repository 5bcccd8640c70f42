"""The upstream: answers with the request that it got, as httpbin.org/get does."""

import json


def app(environ, start_response):
    names = (key[5:].replace("_", "-").title() for key in environ if key.startswith("HTTP_"))
    headers = {name: environ["HTTP_" + name.upper().replace("-", "_")] for name in sorted(names)}
    shown = {name: headers[name] for name in headers if not name.startswith(("X-", "Host"))}
    seen = {"args": {}, "headers": shown, "url": environ["PATH_INFO"]}
    body = json.dumps(seen, indent=2).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
