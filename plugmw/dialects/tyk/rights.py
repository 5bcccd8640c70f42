"""Where a session may go within an API, and which limits count for a request.

Patterns are those of Tyk's endpoints, looked for in the path below the API's and in the whole one; one that
begins with a slash has to match from the beginning. Tyk does so with ``enable_path_prefix_matching``, as its
own ``tyk.conf`` has it, and looks anywhere in the whole path without: that is so in ``compat``.
"""

from __future__ import annotations

import functools
import re
from math import inf
from typing import Final

import attrs

from plugmw.dialects.tyk.endpoints import readings
from plugmw.dialects.tyk.session import AccessDefinition, Limit, SessionState
from plugmw.kernel.exchange import Exchange
from plugmw.schema import patterns

_VARIABLE: Final = re.compile(r"\{[^}]+\}")


@attrs.frozen
class Matching:
    """Whether patterns have to match from the beginning, and to the end."""

    prefix: bool = True
    suffix: bool = False


@attrs.frozen
class Counted:
    """A limit in force, and what tells its counters from others."""

    limit: Limit
    scope: str = ""
    endpoint: str = ""


def problem(pattern: str) -> str | None:
    """Say what is wrong with a pattern, None if it may be used."""
    try:
        _compiled(pattern, Matching())
    except ValueError as error:
        return str(error)
    return None


@functools.lru_cache(maxsize=4096)
def _compiled(pattern: str, matching: Matching) -> patterns.Pattern:
    text = pattern
    if 0 < text.count("{") == text.count("}"):
        text = _VARIABLE.sub("([^/]+)", text)
    text = text.replace("/*/", "/[^/]+/").replace("/*", "/.*")
    if matching.prefix and text.startswith("/"):
        text = f"^(?:{text})"
    if matching.suffix and not text.endswith("$"):
        # As Tyk, which puts the sign behind the last alternative only, where its way is asked for.
        text = f"(?:{text})$" if matching.prefix and not text.startswith("(?") else f"{text}$"
    return patterns.compiled(text, "search")


def _reach(pattern: str, path: str, matching: Matching, unsure: int = -1) -> int:
    """Return how far into a path a pattern matches, -1 if it does not; one that cannot be used never does.

    ``unsure`` is for a path that is too long for the pattern.
    """
    if not pattern.strip("^$"):
        return -1
    try:
        match = _compiled(pattern, matching).find(path)
    except patterns.TooLong:
        return unsure
    except ValueError:
        return -1
    return -1 if match is None else match.end()


def may_go(x: Exchange, access: AccessDefinition, matching: Matching) -> bool:
    """Say whether a request is one of ``allowed_urls`` however it is read; without any, every one is."""
    if not access.allowed_urls:
        return True
    return all(
        below is not None and _is_allowed(method, below, whole, access, matching)
        for method, below, whole in readings(x)
    )


def _is_allowed(method: str, below: str, whole: str, access: AccessDefinition, matching: Matching) -> bool:
    # What matches less of the whole path than the API's own says nothing of what is below it.
    least = len(whole) - len(below) if matching.prefix else 0
    for spec in access.allowed_urls:
        if method in spec.methods and (
            _reach(spec.url, whole, matching) >= least
            or (matching.prefix and _reach(spec.url, below, matching) >= 0)
        ):
            return True
    return False


def limit_in_force(x: Exchange, session: SessionState, api_id: str, matching: Matching) -> Counted:
    """Return the limit that counts for a request: of its endpoint, of the API, or of the whole session."""
    access = session.access_rights[api_id] if api_id in session.access_rights else AccessDefinition()
    if access.limit:
        counted = Counted(access.limit, access.allowance_scope or ("" if session.policies else api_id))
    else:
        own = Limit(session.rate, session.per, session.quota_max, session.quota_renewal_rate)
        counted = Counted(own, access.allowance_scope)
    if not access.endpoints:
        return counted
    limits = [_of_endpoint(method, below, access, counted, matching) for method, below, _ in readings(x)]
    # Of several ways to read a request the strictest counts: nobody gets more by another spelling.
    return min(limits, key=_requests_a_second)


def _requests_a_second(counted: Counted) -> float:
    limit = counted.limit
    return limit.rate / limit.per if limit.rate > 0 and limit.per > 0 else inf


def _of_endpoint(
    method: str, below: str | None, access: AccessDefinition, counted: Counted, matching: Matching
) -> Counted:
    """Return the limit of the first endpoint that one reading of a request is of, else that of the API."""
    name = method.upper()
    for asked in (name, "GET") if name == "HEAD" else (name,):
        for endpoint in access.endpoints:
            for one in endpoint.methods:
                if one.name.upper() == asked and _may_reach(endpoint.path, below, matching):
                    limit = attrs.evolve(counted.limit, rate=one.rate, per=one.per)
                    return Counted(limit, counted.scope, f"{one.name} {endpoint.path}")
    return counted


def _may_reach(pattern: str, path: str | None, matching: Matching) -> bool:
    """Say whether a pattern matches, or might: where the path is too long to tell its limit counts."""
    if path is None or len(path) > patterns.LONGEST:
        return True
    return _reach(pattern, path, matching, unsure=0) >= 0
