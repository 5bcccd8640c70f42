"""Be an OAuth 2.0 authorization server, and let requests pass that have one of its access tokens."""

from plugmw.contrib.oauth2.plugin import OAuth2 as OAuth2
