"""One configuration document: plain data, and where every value of it came from."""

from plugmw.documents.document import Document, Origin
from plugmw.documents.files import fingerprint, load

__all__ = ["Document", "Origin", "fingerprint", "load"]
