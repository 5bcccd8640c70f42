"""Policies: what the sessions that name one may do, as ``policies`` in the section ``plugmw`` says.

A policy counts as a whole: its rights, rate and quota are put in place of the session's. Of several policies
the rights are added, and for each API the most generous rate and quota of those that name it count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from plugmw.dialects.tyk.session import Limit, SessionState, metadata_map
from plugmw.dialects.tyk.stored import PolicyFields, rights_of

Policies = Mapping[str, PolicyFields]


def apply(session: SessionState, policies: Policies, org_id: str) -> bool:
    """Give a session what its policies say; False if they cannot be applied, and the session opens nothing.

    Of several policies those that do not exist are passed over: they would only have added rights.
    """
    if not session.policies:
        return True
    named = [policies[id] for id in session.policies if id in policies]
    if any(policy.org_id != org_id for policy in named) or not any(one.access_rights for one in named):
        return False
    session.access_rights.clear()
    for policy in named:
        _add(session, policy)
    for api, access in session.access_rights.items():
        access.limit = _best(policy for policy in named if api in policy.access_rights)
    best = _best(named)
    session.rate, session.per = best.rate, best.per
    session.quota_max, session.quota_renewal_rate = best.quota_max, best.quota_renewal_rate
    return True


def _add(session: SessionState, policy: PolicyFields) -> None:
    """Add the rights of a policy, its tags and metadata; an inactive one makes the session inactive."""
    for api, access in rights_of(policy.access_rights).items():
        ours = session.access_rights[api]
        ours.api_name, ours.api_id = access.api_name, access.api_id
        ours.versions += [name for name in access.versions if name not in ours.versions]
        ours.allowed_urls += access.allowed_urls
        ours.endpoints += access.endpoints
    session.tags = list(dict.fromkeys([*session.tags, *policy.tags]))
    session.metadata.update(metadata_map(policy.meta_data))
    session.is_inactive = session.is_inactive or policy.is_inactive or not policy.active


def _best(policies: Iterable[PolicyFields]) -> Limit:
    """Return the most generous rate and quota of some policies; a rate of 0 is one that is not given."""
    best = Limit()
    for policy in policies:
        if policy.rate and policy.per and (not best.rate or policy.rate / policy.per > best.rate / best.per):
            best.rate, best.per = policy.rate, policy.per
        if _quota(policy.quota_max) > _quota(best.quota_max):
            best.quota_max = policy.quota_max
        best.quota_renewal_rate = max(best.quota_renewal_rate, policy.quota_renewal_rate)
    return best


def _quota(most: int) -> float:
    return float("inf") if most == -1 else most
