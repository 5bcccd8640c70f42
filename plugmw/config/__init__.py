"""One configuration document: plain data, and where every value of it came from."""

from plugmw.config.document import Document, Origin
from plugmw.config.files import fingerprint, load

__all__ = ["Document", "Origin", "fingerprint", "load"]
