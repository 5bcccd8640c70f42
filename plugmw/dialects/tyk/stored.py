"""Sessions and policies as the section ``plugmw`` has them: Tyk's own JSON, as its ``/tyk/keys`` takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from plugmw.dialects.tyk.kinds import Amount, Flag, Number, Text, amount, flag, number, text
from plugmw.dialects.tyk.session import (
    AccessDefinition,
    AccessRights,
    AccessSpec,
    EndpointLimit,
    Limit,
    MethodLimit,
    SessionState,
)
from plugmw.schema import as_dict, config, field


@config
class RateFields:
    """``limit`` of a method."""

    rate: Amount = amount("Requests.")
    per: Amount = amount("Seconds in which they may be made.")


@config
class LimitFields(RateFields):
    """``limit`` of an access right."""

    quota_max: Number = number("Requests until the quota is renewed; 0 or less: no quota.")
    quota_renewal_rate: Number = number("Seconds after which it is.")


@config
class UrlFields:
    """One of ``allowed_urls``."""

    url: Text = text("A pattern.")
    methods: list[Text] = field([], help="The methods that may be used there.")


@config
class MethodFields:
    """One of an endpoint's ``methods``."""

    name: Text = text("The method.")
    limit: RateFields = field(RateFields(), help="Its rate.")


@config
class EndpointLimitFields:
    """One of ``endpoints``."""

    path: Text = text("A pattern.")
    methods: list[MethodFields] = field([], help="The methods that have a rate of their own.")


@config
class RightFields:
    """What a policy lets sessions do with one API."""

    api_name: Text = text("What the API is called.")
    api_id: Text = text("Its id.")
    versions: list[Text] = field([], help="The versions that may be asked.")
    allowed_urls: list[UrlFields] = field([], help="Where requests may go; anywhere if there are none.")
    endpoints: list[EndpointLimitFields] = field([], help="Rates of single endpoints.")


@config
class AccessFields(RightFields):
    """What a session may do with one API."""

    limit: LimitFields = field(LimitFields(), help="Rate and quota for this API, instead of the session's.")
    allowance_scope: Text = text("What shares the counters of the limit.")


@config
class BasicFields:
    """``basic_auth_data``."""

    password: Text = field("", empty=True, secret=True, help="The password.")
    hash_type: Text = text("How it is hashed.")


@config
class JwtFields:
    """``jwt_data``."""

    secret: Text = field("", empty=True, secret=True, help="The secret.")


@config
class MonitorFields:
    """``monitor``."""

    trigger_limits: list[Amount] = field([], help="Percents of the quota.")


@config
class SessionFields:
    """A session; what nothing here decides by, hooks see."""

    key: object = field(None, secret=True, help="Its token.")
    last_check: Number = number("When it was last used.")
    allowance: Amount = amount("What was left of its rate.")
    rate: Amount = amount("Requests.")
    per: Amount = amount("Seconds in which they may be made.")
    expires: Number = number("When it ends, in unix seconds; 0 or less: never.")
    quota_max: Number = number("Requests until the quota is renewed; 0 or less: no quota.")
    quota_renews: Number = number("When it is.")
    quota_remaining: Number = number("What was left of it.")
    quota_renewal_rate: Number = number("Seconds after which it is.")
    access_rights: dict[str, AccessFields] = field({}, empty=True, help="What it may do, by the API's id.")
    org_id: Text = text("The id of its organisation.")
    oauth_client_id: Text = text("The id of its OAuth client.")
    oauth_keys: dict[str, Text] = field({}, empty=True, help="Its OAuth clients.")
    basic_auth_data: BasicFields = field(BasicFields(), help="Its password.")
    jwt_data: JwtFields = field(JwtFields(), help="Its secret.")
    hmac_enabled: Flag = flag("Whether it may sign.")
    hmac_string: Text = field("", empty=True, secret=True, help="What it signs with.")
    is_inactive: Flag = flag("Whether it opens nothing.")
    apply_policy_id: Text = text("The id of its policy, in an older form.")
    apply_policies: list[Text] = field([], help="The ids of its policies.")
    data_expires: Number = number("How long records are kept.")
    monitor: MonitorFields = field(MonitorFields(), help="When somebody is told of its quota.")
    enable_detail_recording: Flag = flag("Whether records hold whole requests, in an older form.")
    enable_detailed_recording: Flag = flag("Whether records hold whole requests.")
    meta_data: dict[str, object] = field({}, empty=True, help="Free data.")
    tags: list[Text] = field([], help="Its tags.")
    alias: Text = text("What its owner is called.")
    last_updated: Text = text("When it was changed.")
    id_extractor_deadline: Number = number("Until when it is kept, in unix seconds.")
    session_lifetime: Number = number("How long it is kept.")


@config
class PolicyFields:
    """A policy: what sessions that name it may do."""

    name: Text = text("What it is called.")
    org_id: Text = text("The id of its organisation.")
    rate: Amount = amount("Requests.")
    per: Amount = amount("Seconds in which they may be made.")
    quota_max: Number = number("Requests until the quota is renewed; 0 or less: no quota.")
    quota_renewal_rate: Number = number("Seconds after which it is.")
    access_rights: dict[str, RightFields] = field({}, empty=True, help="What may be done, by the API's id.")
    is_inactive: Flag = flag("Whether sessions that name it open nothing.")
    active: Flag = flag("The same the other way round.", default=True)
    tags: list[Text] = field([], help="Tags of these sessions.")
    meta_data: dict[str, object] = field({}, empty=True, help="Free data of these sessions.")


#: What is called otherwise in the messages of hooks.
_RENAMED: Final = {"meta_data": "metadata", "hmac_string": "hmac_secret"}


def session(fields: SessionFields) -> SessionState:
    """Return the session that a file describes."""
    values: dict[str, Any] = {_RENAMED.get(name, name): value for name, value in as_dict(fields).items()}
    for name in ("key", "basic_auth_data", "jwt_data", "monitor"):
        del values[name]
    recorded = values.pop("enable_detail_recording")
    values["enable_detailed_recording"] = values["enable_detailed_recording"] or recorded
    values["access_rights"] = rights_of(fields.access_rights)
    state = SessionState(**values)
    state.basic_auth_data.password = fields.basic_auth_data.password
    state.basic_auth_data.hash = fields.basic_auth_data.hash_type
    state.jwt_data.secret = fields.jwt_data.secret
    state.monitor.trigger_limits = list(fields.monitor.trigger_limits)
    return state


def rights_of(fields: Mapping[str, RightFields]) -> AccessRights:
    """Return access rights as sessions have them, by the API's id."""
    return AccessRights({api: _access(one) for api, one in fields.items()})


def _access(fields: RightFields) -> AccessDefinition:
    access = AccessDefinition(
        api_name=fields.api_name,
        api_id=fields.api_id,
        versions=list(fields.versions),
        allowed_urls=[AccessSpec(url=one.url, methods=list(one.methods)) for one in fields.allowed_urls],
        endpoints=[
            EndpointLimit(
                path=one.path,
                methods=[MethodLimit(name=m.name, rate=m.limit.rate, per=m.limit.per) for m in one.methods],
            )
            for one in fields.endpoints
        ],
    )
    if isinstance(fields, AccessFields):
        access.limit, access.allowance_scope = Limit(**as_dict(fields.limit)), fields.allowance_scope
    return access
