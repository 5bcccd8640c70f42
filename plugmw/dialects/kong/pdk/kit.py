"""All parts of the PDK in one object."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from plugmw.dialects.kong.pdk import rest
from plugmw.dialects.kong.pdk.cache import Cache
from plugmw.dialects.kong.pdk.client import Client
from plugmw.dialects.kong.pdk.log import Log
from plugmw.dialects.kong.pdk.request import Request
from plugmw.dialects.kong.pdk.response import Response
from plugmw.dialects.kong.pdk.service import Service


class Kong:
    """The global ``kong``; it has no state of its own beside a cache, so one serves all threads."""

    version = "3.10.0"
    version_num = 3010000

    def __init__(self) -> None:
        self.request = Request()
        self.response = Response()
        self.service = Service()
        self.client = Client()
        self.log = Log()
        self.ctx = rest.Ctx()
        self.router = rest.Router()
        self.cache = Cache()
        self.node = rest.Node()
        self.ip = rest.IP()
        self.table = rest.Table()
        self.plugin = rest.PluginInfo()
        self.vault = rest.Vault()
        self.nginx = rest.Nginx()
        self.tracing = rest.Tracing()
        self.telemetry = rest.Telemetry()
        self.cluster = rest.Cluster()
        #: Kong's own configuration has no counterpart; an empty read-only table.
        self.configuration: Mapping[str, object] = MappingProxyType({})


kong = Kong()
