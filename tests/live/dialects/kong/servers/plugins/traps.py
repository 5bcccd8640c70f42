"""A plugin that does what the request asks for in x-do: each thing that is known to go wrong."""

import os
import sys
import time

Schema = (
    {"message": {"type": "string", "default": "hello"}},
    {"limit": {"type": "integer", "between": [1, 10]}},
)
version = "1.2.3"
priority = 7


class Quiet:
    def __init__(self, config):
        self.config = config

    def access(self, kong):
        # A file that says: raise before the first call to the PDK.
        if os.environ.get("RAISE_FIRST") and os.path.exists(os.environ["RAISE_FIRST"]):
            raise ValueError("before the first call")
        what, _ = kong.request.get_header("x-do")
        getattr(self, "do_" + (what or "nothing"))(kong)

    def do_nothing(self, kong):
        kong.response.set_header("x-message", str(self.config.get("message")))

    def do_pid(self, kong):
        kong.response.set_header("x-pid", str(os.getpid()))
        kong.response.set_header("x-message", str(self.config.get("message")))

    def do_raise_later(self, kong):
        raise ValueError("after the first call")

    def do_silent(self, kong):
        time.sleep(60)

    def do_share(self, kong):
        kong.ctx.shared.set("seen", {"a": [1, 2]})
        found, _ = kong.ctx.shared.get("seen")
        kong.response.set_header("x-shared", repr(found))

    def do_exit(self, kong):
        kong.response.exit(403, {"message": "no"}, {"x-exit": "yes"})

    def do_exit_then_call(self, kong):
        kong.response.exit(403, "no")
        kong.request.get_header("host")

    def do_bad_exit(self, kong):
        kong.response.exit(99, "no")

    def do_error(self, kong):
        kong.response.error(429, "too many")

    def do_latin(self, kong):
        value, _ = kong.request.get_header("x-latin")
        kong.response.set_header("x-latin", value)

    def do_unlisted(self, kong):
        _, err = kong.cache.get("key")
        kong.response.set_header("x-err", str(err))

    def do_private(self, kong):
        _, err = kong.response._texts("x", "y")
        kong.response.set_header("x-err", str(err))

    def do_phase(self, kong):
        _, err = kong.response.get_status()
        kong.response.set_header("x-err", str(err))

    def do_type(self, kong):
        _, err = kong.response.set_header("x", {"a": 1})
        kong.response.set_header("x-err", str(err))

    def do_nil_err(self, kong):
        value, err = kong.request.get_raw_body()
        kong.response.set_header("x-err", f"{value!r} {err}")

    def do_body(self, kong):
        value, _ = kong.request.get_raw_body()
        kong.response.set_header("x-body", f"{type(value).__name__} {value!r}")

    def do_query(self, kong):
        value, _ = kong.request.get_query()
        kong.response.set_header("x-query", repr(sorted(value.items())))

    def do_service(self, kong):
        kong.service.request.set_header("x-for-app", "given")
        kong.service.request.set_path("/changed")

    def do_die(self, kong):
        os._exit(9)

    def do_effect_then_die(self, kong):
        kong.response.set_header("x-effect", "yes")
        os._exit(9)

    def do_flood(self, kong):
        line = "x" * 99 + "\n"
        for _ in range(int(os.environ.get("FLOOD", "200000"))):
            sys.stderr.write(line)
        sys.stderr.flush()

    def do_threads(self, kong):
        import threading

        kong.response.set_header("x-threads", str(threading.active_count()))

    def do_environment(self, kong):
        kong.response.set_header("x-environment", ",".join(sorted(os.environ)))


class Plugin(Quiet):
    def log(self, kong):
        if self.config.get("message") == "slow log":
            time.sleep(1.0)  # before the first call: the server's lock is held
        what, _ = kong.request.get_header("x-do")
        record, _ = kong.log.serialize()
        status, _ = kong.response.get_status()
        header, _ = kong.response.get_header("x-app")
        shared, _ = kong.ctx.shared.get("seen")
        kong.log.warn(f"LOG {status} {header} {len(record or '') > 100} {shared} {what}")


if os.environ.get("NO_LOG"):
    Plugin = Quiet

if __name__ == "__main__":
    from kong_pdk.cli import start_dedicated_server

    start_dedicated_server("py-traps", Plugin, version, priority, Schema)
