"""Authenticate requests by a signature over chosen headers, made with a secret that is never sent."""

from plugmw.contrib.hmac_auth.plugin import HMACAuth as HMACAuth
