"""Sessions as Tyk's hooks see them, and as Kong's plugins do: a session is a consumer.

    session = session_of(x)             # None before authentication
    set_session(x, session)             # authenticates the exchange

The fields are those of ``coprocess/proto/coprocess_session_state.proto``, with its types: what the original
refuses with a TypeError or an AttributeError (text for a number, an unknown field) is refused here too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from plugmw.kernel.identity import Consumer, Credential, stable_id
from plugmw.schema.fields import listable
from plugmw.wsgi import keys
from plugmw.wsgi.text import has_control

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise TypeError(f"got {type(value).__name__}, expected str")
    return value


class TextMap(dict[str, str]):
    """A map of text to text. What is missing reads as ``""``, as in Protocol Buffers; ``in`` tells."""

    def __init__(self, *mappings: Any, **named: object) -> None:
        super().__init__()
        if mappings or named:
            self.update(*mappings, **named)

    def __missing__(self, key: str) -> str:
        return ""

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(_text(key), _text(value))

    def setdefault(self, key: str, default: str = "") -> str:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *mappings: Any, **named: object) -> None:
        for key, value in dict(*mappings, **named).items():
            self[key] = value

    def MergeFrom(self, other: Mapping[str, str]) -> None:
        """Take over all of another map."""
        self.update(other)


def text_map(mapping: object) -> TextMap:
    """Return a map as such; one that is a text map stays the same object."""
    return mapping if isinstance(mapping, TextMap) else TextMap(mapping)


def metadata_map(metadata: Mapping[str, object]) -> TextMap:
    """Return metadata as hooks get it: what is no text comes as JSON."""
    if isinstance(metadata, TextMap):
        return metadata
    return TextMap({k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()})


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"got {type(value).__name__}, expected a number")
    return float(value)


def _float() -> Any:
    return attrs.field(default=0.0, converter=_number)


def _int() -> Any:
    return attrs.field(default=0, validator=attrs.validators.instance_of(int))


def _string() -> Any:
    return attrs.field(default="", converter=_text)


def _bool() -> Any:
    return attrs.field(default=False, validator=attrs.validators.instance_of(bool))


@attrs.define(eq=False)
class Message:
    """What all messages can."""

    def CopyFrom(self, other: Message) -> None:
        """Become equal to another message of the same kind."""
        for field in attrs.fields(type(self)):
            setattr(self, field.name, copied(getattr(other, field.name)))


def copied(value: Any) -> Any:
    """Return a copy that shares nothing; ``copy.deepcopy`` would take as long as the rest of a request."""
    if isinstance(value, Message):
        message = object.__new__(type(value))
        for field in attrs.fields(type(value)):
            object.__setattr__(message, field.name, copied(getattr(value, field.name)))
        return message
    if isinstance(value, dict):
        mapping = type(value)()
        for key, item in value.items():
            mapping[key] = copied(item)
        return mapping
    return list(map(copied, value)) if isinstance(value, list) else value


@attrs.define
class AccessSpec(Message):
    """A URL of an API, and the methods allowed there."""

    url: str = _string()
    methods: list[str] = attrs.field(factory=list)


@attrs.define
class Limit(Message):
    """Rate and quota: ``rate`` requests per ``per`` seconds, ``quota_max`` until it is renewed."""

    rate: float = _float()
    per: float = _float()
    quota_max: int = _int()
    quota_renewal_rate: int = _int()

    def __bool__(self) -> bool:
        return any((self.rate, self.per, self.quota_max, self.quota_renewal_rate))


@attrs.define
class MethodLimit(Message):
    """A method of an endpoint, and its rate."""

    name: str = _string()
    rate: float = _float()
    per: float = _float()


@attrs.define
class EndpointLimit(Message):
    """An endpoint of an API whose methods have rates of their own."""

    path: str = _string()
    methods: list[MethodLimit] = attrs.field(factory=list)


@attrs.define
class AccessDefinition(Message):
    """What a session may do with one API.

    ``limit`` counts instead of the session's, ``endpoints`` have rates of their own; ``allowance_scope``
    says what shares the counters.
    """

    api_name: str = _string()
    api_id: str = _string()
    versions: list[str] = attrs.field(factory=list)
    allowed_urls: list[AccessSpec] = attrs.field(factory=list)
    limit: Limit = attrs.field(factory=Limit)
    endpoints: list[EndpointLimit] = attrs.field(factory=list)
    allowance_scope: str = _string()


class AccessRights(dict[str, AccessDefinition]):
    """Access definitions by API id; asking for one that is missing makes it."""

    def __missing__(self, key: str) -> AccessDefinition:
        definition = self[key] = AccessDefinition()
        return definition


@attrs.define
class BasicAuthData(Message):
    password: str = attrs.field(default="", converter=_text, repr=False)
    hash: str = _string()


@attrs.define
class JWTData(Message):
    secret: str = attrs.field(default="", converter=_text, repr=False)


@attrs.define
class Monitor(Message):
    trigger_limits: list[float] = attrs.field(factory=list)


@attrs.define(eq=False)
class SessionState(Message):
    """The state of a key: ``rate`` requests per ``per`` seconds, quota, rights, metadata, ...

    Times are unix seconds, 0 where there is none; ``quota_renewal_rate`` is in seconds.
    """

    last_check: int = _int()
    allowance: float = _float()
    rate: float = _float()
    per: float = _float()
    expires: int = _int()
    quota_max: int = _int()
    quota_renews: int = _int()
    quota_remaining: int = _int()
    quota_renewal_rate: int = _int()
    access_rights: AccessRights = attrs.field(factory=AccessRights, converter=AccessRights)
    org_id: str = _string()
    oauth_client_id: str = _string()
    oauth_keys: TextMap = attrs.field(factory=TextMap, converter=text_map)
    basic_auth_data: BasicAuthData = attrs.field(factory=BasicAuthData)
    jwt_data: JWTData = attrs.field(factory=JWTData)
    hmac_enabled: bool = _bool()
    hmac_secret: str = attrs.field(default="", converter=_text, repr=False)
    is_inactive: bool = _bool()
    apply_policy_id: str = _string()
    data_expires: int = _int()
    monitor: Monitor = attrs.field(factory=Monitor)
    enable_detailed_recording: bool = _bool()
    #: The token may be in it.
    metadata: TextMap = attrs.field(factory=TextMap, converter=metadata_map, repr=False)
    tags: list[str] = attrs.field(factory=list)
    alias: str = _string()
    last_updated: str = _string()
    id_extractor_deadline: int = _int()
    session_lifetime: int = _int()
    apply_policies: list[str] = attrs.field(factory=list)
    certificate: str = _string()
    max_query_depth: int = _int()
    key_id: str = attrs.field(default="", converter=_text, repr=False)
    post_expiry_action: str = _string()
    post_expiry_grace_period: int = _int()

    def copy(self) -> SessionState:
        """Return a session of its own, for a hook to change."""
        session: SessionState = copied(self)
        return session

    @property
    def policies(self) -> tuple[str, ...]:
        """The ids of its policies, also of the old single field."""
        first = (self.apply_policy_id,) if self.apply_policy_id else ()
        return tuple(dict.fromkeys((*self.apply_policies, *first)))


def session_of(x: Exchange) -> SessionState | None:
    """Return the session of a request, None before it has been authenticated."""
    session: SessionState | None = x.environ.get(keys.TYK_SESSION)
    return session


def set_session(x: Exchange, session: SessionState) -> None:
    """Make ``session`` that of the request, and its owner the consumer that other plugins and the app see."""
    x.environ[keys.TYK_SESSION] = session
    consumer = consumer_of(session)
    x.authenticate(consumer, Credential(id=consumer.id, consumer_id=consumer.id))


def consumer_of(session: SessionState) -> Consumer:
    """Return the consumer a session stands for: its alias as name, its policies as groups.

    An alias with control characters is nobody's name. The id is made from organisation and key, and
    tells neither.
    """
    id = stable_id("tyk-session", session.org_id, session.key_id)
    return Consumer(
        id=id,
        username=session.alias if session.alias and not has_control(session.alias) else id,
        tags=tuple(session.tags),
        groups=tuple(_listable(session.policies)),
    )


def _listable(names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if listable(name))
