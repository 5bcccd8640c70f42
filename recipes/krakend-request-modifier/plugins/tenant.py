"""Tell the backend who is asking: a request modifier that changes, refuses and answers."""

import json

from plugmw.dialects.krakend import ModifierError, ResponseWrapper

UNKNOWN = json.dumps({"error": "unknown tenant"})


class Registerer:
    def register_modifiers(self, f):
        # A name, a factory, and the directions: requests, not responses.
        f("tenant", self.factory, True, False)

    def factory(self, extra):
        # The whole namespace; a plugin's own section is under its name.
        config = extra["tenant"]
        ids, closed = config["ids"], config["closed"]

        def modifier(req):
            name = req.headers.pop("X-Tenant", [""])[0]
            if name not in ids:
                raise ModifierError(UNKNOWN, 401, "application/json", {"WWW-Authenticate": "Tenant"})
            if name in closed:
                return ResponseWrapper(status_code=503, headers={"Retry-After": ["3600"]})
            req.headers["X-Tenant-Id"] = [ids[name]]
            return req

        return modifier


ModifierRegisterer = Registerer()
