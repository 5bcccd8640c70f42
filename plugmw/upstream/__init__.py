"""HTTP services served instead of the wrapped app."""

from plugmw.upstream.forwarding import Target as Target
from plugmw.upstream.forwarding import Upstream as Upstream
