"""The gateway, under the name that some plugins import it by."""

from plugmw.dialects.tyk.python.gateway import TykGateway as TykGateway
