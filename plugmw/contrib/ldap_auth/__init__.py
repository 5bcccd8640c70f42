"""Authenticate requests by a user name and a password that an LDAP directory checks (a simple bind)."""

from plugmw.contrib.ldap_auth.plugin import LDAPAuth as LDAPAuth
