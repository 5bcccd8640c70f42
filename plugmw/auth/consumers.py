"""The ``consumers`` section: who uses the API, with the credentials of each authentication plugin.

The field names are those of Kong's declarative files, so a list of consumers can be carried over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from plugmw.auth import client_secrets, passwords
from plugmw.auth.public_keys import ALGORITHMS, HMAC, public_key
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.identity import Consumer, Credential, Directory, MemoryDirectory, stable_id
from plugmw.schema import REQUIRED, Check, Finding, as_dict, at_least, config, field, one_of, read
from plugmw.schema.fields import GroupName
from plugmw.schema.messages import Path, Problem, place
from plugmw.schema.reading import Text
from plugmw.wsgi.text import has_control


def _id() -> Any:
    return field(None, help="Identifier; derived from the consumer if not given.")


def _tags() -> Any:
    return field(None, help="Free labels.")


def _created() -> Any:
    return field(None, aliases=("created_at",), help="When it was made, in unix seconds.")


@config
class KeyCredential:
    """A key for key-auth."""

    key: str = field(help="The key itself.", secret=True)
    id: str | None = field(None, help="Identifier the app sees; derived from the consumer if not given.")
    ttl: float | None = field(None, at_least(0), help="Seconds after `created` from which it is unknown.")
    created: float | None = _created()
    tags: list[str] | None = _tags()

    def check(self) -> Iterator[Finding]:
        if self.ttl and self.created is None:
            # Counted from the moment of loading, it would begin anew with every worker and every reload.
            yield "created", "missing beside ttl, expected when it was made, in unix seconds"


@config
class BasicCredential:
    """A user name and password for basic-auth."""

    username: str = field(help="User name; it need not be the consumer's.")
    password: str = field(
        REQUIRED,
        Check(passwords.readable, passwords.EXPECTED),
        secret=True,
        help="Password, or its hash: of werkzeug.security, or `kong-sha1$` and what Kong stores.",
    )
    id: str | None = _id()
    created: float | None = _created()
    tags: list[str] | None = _tags()


@config
class JWTSecret:
    """What tokens for jwt are verified by."""

    key: str = field(help="What the key claim of a token (`iss`) must be.")
    algorithm: str = field("HS256", one_of(*ALGORITHMS), help="The one algorithm of its tokens.")
    secret: str | None = field(None, secret=True, help="Secret of the HS algorithms.")
    # Everybody may know it, but it is long, and best kept in a file of its own.
    rsa_public_key: str | None = field(
        None, secret=True, help="PEM public key of the other algorithms, not only of RSA."
    )
    id: str | None = _id()
    created: float | None = _created()
    tags: list[str] | None = _tags()

    def check(self) -> Iterator[Finding]:
        if self.algorithm in HMAC:
            if self.secret is None:
                yield "secret", f"missing, expected the secret of {self.algorithm} tokens"
        elif self.rsa_public_key is not None:
            try:
                public_key(self.algorithm, self.rsa_public_key)
            except ModuleNotFoundError:
                pass  # jwt says so when it is loaded
            except ValueError as error:
                yield "rsa_public_key", f"got a secret value, expected {error}"
        elif not self.algorithm.startswith("ES"):
            yield "rsa_public_key", f"missing, expected the public key of {self.algorithm} tokens"


@config
class HMACCredential:
    """A user name and secret for hmac-auth."""

    username: str = field(help="User name; it need not be the consumer's.")
    secret: str = field(secret=True, help="Secret that requests are signed with.")
    id: str | None = _id()
    created: float | None = _created()
    tags: list[str] | None = _tags()


@config
class OAuth2Credential:
    """A client for oauth2."""

    name: str = field(help="Name of the application.")
    client_id: str = field(help="Public identifier of the client.")
    client_secret: str | None = field(
        None,
        Check(client_secrets.readable, client_secrets.EXPECTED),
        secret=True,
        help="Secret of a confidential client, or the digest of it that Kong stores.",
    )
    hash_secret: bool = field(False, help="Whether only a digest of the secret is kept.")
    redirect_uris: list[str] | None = field(None, help="Absolute addresses the user may be sent back to.")
    client_type: Literal["confidential", "public"] = field(
        "confidential", help="Whether the client can keep a secret."
    )
    id: str | None = _id()
    created: float | None = _created()
    tags: list[str] | None = _tags()

    def check(self) -> Iterator[Finding]:
        if self.client_type == "confidential" and self.client_secret is None:
            yield "client_secret", "missing, expected the secret of a confidential client"
        for index, uri in enumerate(self.redirect_uris or ()):
            if not _absolute(uri):
                yield f"redirect_uris[{index}]", f"got {uri!r}, expected an absolute URI without fragment"


def _absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and "#" not in uri


@config
class Group:
    """A group for acl."""

    group: GroupName = field(help="Name of the group.")
    id: str | None = field(None, help="Identifier.")
    created: float | None = _created()
    tags: list[str] | None = _tags()


@config
class ConsumerConfig:
    """One consumer."""

    username: str | None = field(None, help="Unique name.")
    custom_id: str | None = field(None, help="Unique identifier in another system.")
    id: str | None = field(None, help="Identifier; derived from the name if not given.")
    tags: list[str] = field([], help="Free labels.")
    acls: list[Group] = field([], help="Groups the consumer is in.")
    keyauth_credentials: list[KeyCredential] = field([], help="Keys for key-auth.")
    basicauth_credentials: list[BasicCredential] = field([], help="Passwords for basic-auth.")
    jwt_secrets: list[JWTSecret] = field([], help="What tokens for jwt are verified by.")
    hmacauth_credentials: list[HMACCredential] = field([], help="Secrets for hmac-auth.")
    oauth2_credentials: list[OAuth2Credential] = field([], help="Clients for oauth2.")

    def check(self) -> Iterator[Finding]:
        if not self.username and not self.custom_id:
            yield "at least one of username, custom_id must be given"
        for name in ("username", "custom_id", "id"):
            value = getattr(self, name)
            if value and has_control(value):
                yield name, f"got {value!r}, expected a name without control characters"


#: Credential lists: field of the consumer -> (kind, field that is looked up, field that the app is told).
CREDENTIALS: Final = {
    "keyauth_credentials": ("key-auth", "key", "id"),
    "basicauth_credentials": ("basic-auth", "username", "username"),
    "jwt_secrets": ("jwt", "key", "key"),
    "hmacauth_credentials": ("hmac-auth", "username", "username"),
    "oauth2_credentials": ("oauth2", "client_id", "client_id"),
}


def parse(
    data: object, path: Path = ("consumers",), text: Text | None = None
) -> tuple[MemoryDirectory, list[Problem]]:
    """Read a list of consumers: the directory, and every problem with its path."""
    if not isinstance(data, (list, tuple)):
        return MemoryDirectory(), [(path, f"got {type(data).__name__}", "a list of consumers")]
    problems: list[Problem] = []
    configs: list[tuple[int, ConsumerConfig]] = []
    for index, item in enumerate(data):
        config, problems_of_item = read(ConsumerConfig, item, (*path, index), text)
        problems += problems_of_item
        if config is not None:
            configs.append((index, config))
    problems += _repeated(configs, path)
    consumers = [_consumer(config) for _, config in configs]
    directory = MemoryDirectory(consumers)
    for (index, config), consumer in zip(configs, consumers, strict=True):
        problems += _add_credentials(directory, config, consumer, (*path, index))
    return directory, problems


def _consumer(config: ConsumerConfig) -> Consumer:
    return Consumer(
        id=config.id or stable_id("consumer", config.username or "", config.custom_id or ""),
        username=config.username,
        custom_id=config.custom_id,
        tags=tuple(config.tags),
        groups=tuple(group.group for group in config.acls),
    )


def _repeated(configs: list[tuple[int, ConsumerConfig]], path: Path) -> Iterable[Problem]:
    for name in ("username", "custom_id", "id"):
        first: dict[str, int] = {}
        for index, consumer in configs:
            value = getattr(consumer, name)
            if value is not None and first.setdefault(value, index) != index:
                where = place((*path, first[value]))
                yield (*path, index, name), f"got {value!r}, which {where} has already", "a unique value"


def _add_credentials(
    directory: MemoryDirectory, config: ConsumerConfig, consumer: Consumer, path: Path
) -> Iterable[Problem]:
    for name, (kind, looked_up, shown) in CREDENTIALS.items():
        for index, item in enumerate(getattr(config, name)):
            credential = Credential(
                id=item.id or stable_id("credential", kind, consumer.id, str(index)),
                consumer_id=consumer.id,
                identifier=getattr(item, shown),
                data=_data(item, consumer),
                expires=item.created + item.ttl if getattr(item, "ttl", None) else None,
            )
            if kind == "basic-auth" and passwords.is_kong(item.password) and config.id is None:
                yield (*path, "id"), "missing", f"the id that {passwords.KONG} passwords are salted with"
            if not directory.add(kind, getattr(item, looked_up), credential):
                yield (*path, name, index, looked_up), "is the same as another credential's", "a unique value"


def _data(item: object, consumer: Consumer) -> dict[str, object]:
    """Return what a plugin needs of a credential; passwords only as digests."""
    data = as_dict(item)
    if isinstance(item, BasicCredential):
        data["password"] = passwords.stored(item.password, consumer.id)
    if isinstance(item, OAuth2Credential) and item.hash_secret and item.client_secret is not None:
        data["client_secret"] = client_secrets.stored(item.client_secret)
    return data


def directory(source: Any) -> Directory:
    """Return a directory: ``source`` itself, or one of a list of consumers (ConfigErrors if it is bad)."""
    if hasattr(source, "credential"):
        looked_up_in: Directory = source
        return looked_up_in
    consumers, problems = parse(source)
    if problems:
        raise ConfigErrors([ConfigError(place(path), problem, want) for path, problem, want in problems])
    return consumers
