"""Authenticate requests by a signed JSON Web Token (RFC 7519) whose issuer names a credential."""

from plugmw.contrib.jwt.plugin import JWT as JWT
