"""Kong's plugin contract in Python: handlers, PDK, declarative files and plugin servers."""

from plugmw.dialects.kong.handler import BasePlugin as BasePlugin
from plugmw.dialects.kong.handler import adapt as adapt
from plugmw.dialects.kong.pdk import kong as kong
