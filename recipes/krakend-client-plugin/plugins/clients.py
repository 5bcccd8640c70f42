"""Two clients: one answers for the backend, one asks it seldom."""

import json
import time

from plugmw.dialects.go_http import ResponseWriter


class Registerer:
    def register_clients(self, f):
        f("fixed", self.fixed)
        f("remembering", self.remembering)

    def fixed(self, context, extra):
        """Answer the same to every request; the backend is never asked."""
        body = json.dumps(extra["fixed"])

        def handler(w, req):
            w.header()["Content-Type"] = "application/json"
            w.write(body)

        return handler

    def remembering(self, context, extra, next):
        """Ask the backend through ``next``, and remember good answers to GET for some seconds."""
        seconds = extra["remembering"]["seconds"]
        kept = {}

        def handler(w, req):
            until, body = kept.get(req.url, (0, b""))
            if req.method != "GET" or time.monotonic() > until:
                answer = ResponseWriter()
                next.serve_http(answer, req)
                body = answer.body
                if answer.status != 200:
                    w.write_header(answer.status)
                elif req.method == "GET":
                    kept[req.url] = time.monotonic() + seconds, body
            w.write(body)

        return handler


ClientRegisterer = Registerer()
