#!/usr/bin/env python3
"""A Kong plugin in Python, in a plugin server of its own: it writes a line to a file for every request."""

import threading

Schema = (
    {"my_file_path": {"type": "string", "required": True}},
    {"reopen": {"type": "boolean", "default": False}},
)
version = "1.0.0"
priority = 1

lock = threading.Lock()
files = {}


class Plugin:
    def __init__(self, config):
        self.path = config["my_file_path"]
        self.reopen = config.get("reopen")

    def access(self, kong):
        host = kong.request.get_header("host")
        kong.service.request.set_header("X-My-Plugin", "python")
        kong.response.set_header("X-My-Plugin", f"Python says hello to {host}")

    def log(self, kong):
        entry = kong.log.serialize()
        with lock:
            if self.reopen and self.path in files:
                files.pop(self.path).close()
            if self.path not in files:
                files[self.path] = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - kept open
            files[self.path].write(entry + "\n")
            files[self.path].flush()


if __name__ == "__main__":
    from kong_pdk.cli import start_dedicated_server

    start_dedicated_server("my-plugin", Plugin, version, priority, Schema)
