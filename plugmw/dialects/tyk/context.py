"""What hooks may ask about their request: its session, its API, its token.

    from plugmw.dialects.tyk import ctx

    def auth(rw, r):
        if r.headers.get("Authorization") != "good":
            rw.write_header(403)
            return
        session = ctx.SessionState(alias="alice", org_id=ctx.get_definition(r).org_id)
        ctx.set_session(r, session)

Go's spelling works too (``ctx.GetSession(r)``). ``r`` is the request of a hook, or its WSGI environ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmw.dialects.tyk.api import Api
from plugmw.dialects.tyk.session import SessionState
from plugmw.dialects.tyk.session import set_session as _authenticate
from plugmw.dialects.tyk.spelling import Fields
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange
from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def _environ(r: Any) -> WSGIEnvironment:
    environ: WSGIEnvironment = getattr(r, "environ", r)
    return environ


def _exchange(r: object) -> Exchange:
    x = context.exchange()
    if x is None or x.environ is not _environ(r):
        raise RuntimeError("called outside of the hook of this request")
    return x


def get_session(r: object) -> SessionState | None:
    """Return the session, None before authentication; changes to it last as long as the request."""
    session: SessionState | None = _environ(r).get(keys.TYK_SESSION)
    return session


def set_session(
    r: object, session: SessionState, schedule_update: bool = False, hash_key: bool = False
) -> None:
    """Make ``session`` that of the request: who it stands for is then the consumer other plugins see.

    An empty ``key_id`` becomes the request's token, or its alias. ``schedule_update`` and ``hash_key`` are
    Tyk's, and do nothing: a session lives as long as its request. Raises ``TypeError`` for no session.
    """
    if not isinstance(session, SessionState):
        raise TypeError(f"session: got {type(session).__name__}, expected SessionState")
    x = _exchange(r)
    token = session.key_id or get_auth_token(r)
    if token:
        x.environ[keys.TYK_TOKEN] = token
    # Keys tell consumers apart: what is counted for one must not be counted for all.
    session.key_id = token or session.alias
    _authenticate(x, session)


def get_auth_token(r: object) -> str:
    """Return the token that the request was authenticated by, ``""`` if there is none."""
    return str(_environ(r).get(keys.TYK_TOKEN, ""))


def get_definition(r: object) -> Fields | None:
    """Return a copy of the API's definition: a dict whose keys are attributes too, also in Go's spelling."""
    api: Api | None = _environ(r).get(keys.TYK_API)
    return None if api is None else api.copy()


def get_oas_definition(r: object) -> None:
    """Return None: definitions are classic ones."""


GetSession, SetSession, GetAuthToken = get_session, set_session, get_auth_token
GetDefinition, GetOASDefinition = get_definition, get_oas_definition
