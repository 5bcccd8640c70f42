"""Policies, applied to sessions."""

from __future__ import annotations

import pytest

from plugmw.dialects.tyk.policies import apply
from plugmw.dialects.tyk.session import AccessSpec, Limit, SessionState
from plugmw.dialects.tyk.stored import PolicyFields, RightFields, UrlFields


def policy(**fields):
    rights = {"id1": RightFields(allowed_urls=[UrlFields(url="/a", methods=["GET"])], versions=["v1"])}
    return PolicyFields(**{"org_id": "o", "access_rights": rights, **fields})


def test_a_session_without_policies_stays_what_it_is():
    session = SessionState(rate=5)
    assert apply(session, {}, "o")
    assert (session.rate, session.access_rights) == (5.0, {})


@pytest.mark.parametrize(
    ("policies", "names"),
    [
        ({}, ["gone"]),
        ({"p": policy(org_id="other")}, ["p"]),
        ({"p": policy(access_rights={})}, ["p"]),
        ({"p": policy(), "q": policy(org_id="other")}, ["p", "q"]),
    ],
    ids=["gone", "another organisation", "no rights", "one of another organisation"],
)
def test_policies_that_cannot_be_applied_are_told(policies, names):
    assert not apply(SessionState(apply_policies=names), policies, "o")


def test_what_a_policy_says_is_put_in_place_of_what_the_session_says():
    session = SessionState(
        apply_policy_id="p", rate=100, per=1, quota_max=100, tags=["s"], metadata={"a": "1", "b": "2"}
    )
    session.access_rights["other"].api_name = "Other"
    made = policy(rate=2, per=60, quota_max=7, quota_renewal_rate=60, tags=["p"], meta_data={"b": "3"})
    assert apply(session, {"p": made}, "o")
    assert (session.rate, session.per, session.quota_max, session.quota_renewal_rate) == (2, 60, 7, 60)
    assert (session.tags, session.metadata, session.is_inactive) == (["s", "p"], {"a": "1", "b": "3"}, False)
    assert list(session.access_rights) == ["id1"]
    access = session.access_rights["id1"]
    assert (access.limit, access.versions) == (Limit(2, 60, 7, 60), ["v1"])
    assert access.allowed_urls == [AccessSpec("/a", ["GET"])]


def test_applying_twice_says_the_same():
    policies = {"p": policy(rate=2, per=60)}
    session = SessionState(apply_policies=["p"])
    for _ in range(2):
        assert apply(session, policies, "o")
    assert session.access_rights["id1"].allowed_urls == [AccessSpec("/a", ["GET"])]


@pytest.mark.parametrize(
    ("quotas", "most"), [([5, 7], 7), ([5, -1], -1), ([-1, 5], -1), ([0, 5], 5)], ids=str
)
def test_of_several_policies_the_most_generous_quota_counts(quotas, most):
    policies = {str(n): policy(quota_max=quota) for n, quota in enumerate(quotas)}
    session = SessionState(apply_policies=list(policies))
    assert apply(session, policies, "o")
    assert (session.quota_max, session.access_rights["id1"].limit.quota_max) == (most, most)


def test_of_several_policies_each_api_has_the_limits_of_those_that_name_it():
    other = policy(rate=9, per=60, access_rights={"id2": RightFields()})
    session = SessionState(apply_policies=["p", "q"])
    assert apply(session, {"p": policy(rate=2, per=60), "q": other}, "o")
    assert [session.access_rights[api].limit.rate for api in ("id1", "id2")] == [2, 9]
    assert session.rate == 9


@pytest.mark.parametrize("fields", [{"is_inactive": True}, {"active": False}], ids=str)
def test_an_inactive_policy_makes_the_session_inactive(fields):
    session = SessionState(apply_policies=["p", "q"])
    assert apply(session, {"p": policy(), "q": policy(**fields)}, "o")
    assert session.is_inactive
