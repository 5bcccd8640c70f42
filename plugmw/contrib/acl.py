"""Let requests through or refuse them by the groups of whoever is asking.

    plugins:
      - name: key-auth
      - name: acl
        config:
          allow: [admin, staff]
    consumers:
      - username: alice
        keyauth_credentials: [{key: correct-horse-battery-staple}]
        acls: [{group: admin}]

The groups are those of the authenticated consumer, or those an earlier plugin put into the request's context
under ``authenticated_groups``. A refused client gets 403 with "You cannot consume this service", 401 with
"Unauthorized" if nobody is known, in the format it accepts. The app gets all groups in X-Consumer-Groups or
X-Authenticated-Groups, never those a client sent.

Fails closed. Contract: Kong's acl (``kong/plugins/acl``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import config, field
from plugmw.schema.fields import GroupName, listable
from plugmw.wsgi import keys
from plugmw.wsgi.text import encode

REFUSED: Final = "You cannot consume this service"
_OF_CONSUMER: Final = "HTTP_X_CONSUMER_GROUPS"
_OF_CONTEXT: Final = "HTTP_X_AUTHENTICATED_GROUPS"


@config
class Config:
    """Exactly one of ``allow`` and ``deny``."""

    allow: list[GroupName] | None = field(None, help="Groups let through, all others are refused.")
    deny: list[GroupName] | None = field(None, help="Groups refused, all others are let through.")
    hide_groups_header: bool = field(False, help="Whether the app is not told the groups.")
    always_use_authenticated_groups: bool = field(
        False, help="Whether groups from the context count instead of an authenticated consumer's own."
    )

    def check(self) -> Iterator[str]:
        if self.allow and self.deny:
            yield "only one of these fields must be non-empty: 'allow', 'deny'"
        if not self.allow and not self.deny:
            yield "at least one of these fields must be non-empty: 'allow', 'deny'"


class ACL(Plugin[Config]):
    """Phases: access."""

    name, priority, Config = "acl", 950, Config
    fail_closed = True

    def configure(self) -> None:
        self._denies = bool(self.config.deny)
        self._listed = frozenset(self.config.deny or self.config.allow or ())

    def access(self, x: Exchange) -> None:
        header, groups = self._groups(x)
        in_list = not self._listed.isdisjoint(groups)
        if in_list is self._denies:
            x.fail(403, REFUSED)
        environ = x.environ
        environ.pop(_OF_CONSUMER, None)
        environ.pop(_OF_CONTEXT, None)
        if not self.config.hide_groups_header:
            listed = ", ".join(group for group in groups if listable(group))
            # What the context holds must not fail the request, and no two names may look the same.
            environ[header] = encode(listed, "surrogatepass")

    def _groups(self, x: Exchange) -> tuple[str, Sequence[str]]:
        """Return the groups that decide and the header that names them, or answer if there can be none."""
        consumer, credential, in_context = x.consumer, x.credential, self._context_groups(x)
        always = self.config.always_use_authenticated_groups
        if in_context is not None and (consumer is None or credential is None or always):
            return _OF_CONTEXT, in_context
        if consumer is not None and (consumer.groups or self._denies):
            return _OF_CONSUMER, consumer.groups
        if credential is None:
            x.fail(401)
        x.fail(403, REFUSED)

    def _context_groups(self, x: Exchange) -> Sequence[str] | None:
        """Return the groups in the context, None if there is no list of them."""
        groups = x.ctx.get(keys.CTX_GROUPS)
        names = isinstance(groups, (list, tuple)) and all(isinstance(one, str) for one in groups)
        if groups is None or names:
            return groups
        self.logger.warning(
            "%s is no list of names and is ignored (request %s)", keys.CTX_GROUPS, x.request_id
        )
        return None
