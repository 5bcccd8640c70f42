"""KrakenD's plugin contract: registerers of handlers, clients and modifiers."""

from plugmw.dialects.krakend.clients import ClientRegisterer as ClientRegisterer
from plugmw.dialects.krakend.handlers import HandlerRegisterer as HandlerRegisterer
from plugmw.dialects.krakend.loader import Loader as Loader
from plugmw.dialects.krakend.logger import Logger as Logger
from plugmw.dialects.krakend.logger import formatter as formatter
from plugmw.dialects.krakend.wrappers import ModifierError as ModifierError
from plugmw.dialects.krakend.wrappers import RequestWrapper as RequestWrapper
from plugmw.dialects.krakend.wrappers import ResponseWrapper as ResponseWrapper
