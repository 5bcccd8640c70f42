"""The messages of sessions, under the names that plugins import."""

from plugmw.dialects.tyk.session import AccessDefinition as AccessDefinition
from plugmw.dialects.tyk.session import AccessSpec as AccessSpec
from plugmw.dialects.tyk.session import BasicAuthData as BasicAuthData
from plugmw.dialects.tyk.session import JWTData as JWTData
from plugmw.dialects.tyk.session import Monitor as Monitor
from plugmw.dialects.tyk.session import SessionState as SessionState
from plugmw.dialects.tyk.session import SessionState as TykSession

__all__ = (
    "AccessDefinition",
    "AccessSpec",
    "BasicAuthData",
    "JWTData",
    "Monitor",
    "SessionState",
    "TykSession",
)
