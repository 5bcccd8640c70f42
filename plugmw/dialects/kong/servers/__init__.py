"""Real Kong plugin servers (Go, Python, JavaScript), driven over their own socket protocols."""

from plugmw.dialects.kong.servers.settings import ServerConfig as ServerConfig
from plugmw.dialects.kong.servers.settings import from_kong_conf as from_kong_conf
from plugmw.dialects.kong.servers.source import PluginServers as PluginServers
from plugmw.dialects.kong.servers.source import read_servers as read_servers
