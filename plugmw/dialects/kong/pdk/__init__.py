"""Kong's plugin development kit as a thin view on the exchange in force.

    from plugmw.dialects.kong import kong

    class Handler:
        PRIORITY, VERSION = 10, "1.0.0"

        def access(self, config):
            host = kong.request.get_header("host")
            kong.service.request.set_header("x-seen-host", host)

Functions that give ``value, err`` in Lua return a tuple here where the error is expected
(``get_raw_body``, ``get_body``, ``cache.get``); lists that may be cut have ``.err``. Wrong phases raise
:class:`~plugmw.errors.PhaseError`, wrong types ``TypeError``, values out of range ``ValueError``, functions
without a meaning under WSGI :class:`Unsupported`.
"""

from plugmw.dialects.kong.pdk.kit import Kong as Kong
from plugmw.dialects.kong.pdk.kit import kong as kong
from plugmw.dialects.kong.pdk.phase import Unsupported as Unsupported
