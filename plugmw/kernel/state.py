"""What plugins remember of one request: a dict for each, in the request's environ under one key.

It is found again wherever the environ goes: in every phase, in the other stretches of a chain, behind wrapped
middlewares. Nobody shares it; what plugins share is ``x.ctx``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class State:
    """The dicts of all owners.

    No mapping itself, and with a short text: apps that write their environ down, as JSON or in an error page,
    get neither the plugins nor what they remember.
    """

    __slots__ = ("by_owner",)

    def __init__(self) -> None:
        self.by_owner: dict[int, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"<state of {len(self.by_owner)}>"

    def copy(self) -> State:
        """Return a state in which owners may set other values than in this one."""
        copied = State()
        copied.by_owner = {owner: dict(values) for owner, values in self.by_owner.items()}
        return copied


def of(environ: WSGIEnvironment, owner: object) -> dict[str, Any]:
    """Return the dict of ``owner`` for this request; it is empty when first asked for.

    An owner is a plugin, or the class or function of those that have a memory in common. It is known by its
    identity, and has to live as long as the request.
    """
    state: State | None = environ.get(keys.STATE)
    if state is None:
        state = environ[keys.STATE] = State()
    values = state.by_owner.get(id(owner))
    if values is None:
        values = state.by_owner[id(owner)] = {}
    return values
