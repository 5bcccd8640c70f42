"""The example handler of Kong's plugin documentation: its methods call the parent's first."""

import os

from my_custom_plugin import access, body_filter
from my_custom_plugin.schema import SCHEMA as FIELDS
from plugmw.dialects.kong import BasePlugin, kong


class CustomHandler(BasePlugin):
    PRIORITY = 10
    VERSION = "1.0.0"
    SCHEMA = FIELDS

    def __init__(self):
        super().__init__("my-custom-plugin")

    def init_worker(self):
        super().init_worker()
        self.worker = os.getpid()
        kong.log.notice("started in worker ", self.worker)

    def configure(self, configs):
        kong.log.notice("configurations: ", len(configs or []))

    def rewrite(self, config):
        super().rewrite(config)
        kong.ctx.plugin["path"] = kong.request.get_path()

    def access(self, config):
        super().access(config)
        # The logic is in a module of its own.
        access.execute(config)

    def header_filter(self, config):
        super().header_filter(config)
        kong.response.set_header("X-Worker", self.worker)
        kong.response.clear_header("Content-Length")

    def body_filter(self, config):
        super().body_filter(config)
        body_filter.execute(config)

    def log(self, config):
        super().log(config)
        entry = kong.log.serialize()
        kong.log.notice(kong.ctx.plugin["path"], " ", entry["response"]["status"])
