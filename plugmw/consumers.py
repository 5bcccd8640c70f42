"""The ``consumers`` section: who uses the API, with the credentials of each authentication plugin.

The field names are those of Kong's declarative files, so a list of consumers can be carried over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from plugmw.errors import ConfigError, ConfigErrors
from plugmw.identity import Consumer, Credential, Directory, MemoryDirectory, stable_id
from plugmw.schema import Path, Problem, Text, as_dict, at_least, config, field, place, read


@config
class KeyCredential:
    """A key for key-auth."""

    key: str = field(help="The key itself.", secret=True)
    id: str | None = field(None, help="Identifier the app sees; derived from the consumer if not given.")
    ttl: float | None = field(None, at_least(0), help="Seconds after `created` from which it is unknown.")
    created: float | None = field(None, help="When it was made, in unix seconds; now if not given.")
    tags: list[str] | None = field(None, help="Free labels.")


@config
class Group:
    """A group for acl."""

    group: str = field(help="Name of the group.")
    id: str | None = field(None, help="Identifier.")
    tags: list[str] | None = field(None, help="Free labels.")


@config
class ConsumerConfig:
    """One consumer."""

    username: str | None = field(None, help="Unique name.")
    custom_id: str | None = field(None, help="Unique identifier in another system.")
    id: str | None = field(None, help="Identifier; derived from the name if not given.")
    tags: list[str] = field([], help="Free labels.")
    acls: list[Group] = field([], help="Groups the consumer is in.")
    keyauth_credentials: list[KeyCredential] = field([], help="Keys for key-auth.")

    def check(self) -> Any:
        if not self.username and not self.custom_id:
            yield "at least one of username, custom_id must be given"


#: Credential lists: field of the consumer -> (kind, field that is looked up).
CREDENTIALS: Final = {"keyauth_credentials": ("key-auth", "key")}


def parse(
    data: Any, path: Path = ("consumers",), text: Text | None = None
) -> tuple[MemoryDirectory, list[Problem]]:
    """Read a list of consumers: the directory, and every problem with its path."""
    if not isinstance(data, (list, tuple)):
        return MemoryDirectory(), [(path, f"got {type(data).__name__}", "a list of consumers")]
    problems: list[Problem] = []
    read_ones: list[tuple[int, ConsumerConfig]] = []
    for index, item in enumerate(data):
        made, found = read(ConsumerConfig, item, (*path, index), text)
        problems += found
        if made is not None:
            read_ones.append((index, made))
    problems += _repeated(read_ones, path)
    consumers = [_consumer(made) for _, made in read_ones]
    made_directory = MemoryDirectory(consumers)
    for (index, made), consumer in zip(read_ones, consumers, strict=True):
        problems += _add_credentials(made_directory, made, consumer, (*path, index))
    return made_directory, problems


def _consumer(made: ConsumerConfig) -> Consumer:
    return Consumer(
        id=made.id or stable_id("consumer", made.username or "", made.custom_id or ""),
        username=made.username,
        custom_id=made.custom_id,
        tags=tuple(made.tags),
        groups=tuple(group.group for group in made.acls),
    )


def _repeated(made: list[tuple[int, ConsumerConfig]], path: Path) -> Iterable[Problem]:
    for name in ("username", "custom_id", "id"):
        first: dict[str, int] = {}
        for index, consumer in made:
            value = getattr(consumer, name)
            if value is not None and first.setdefault(value, index) != index:
                where = place((*path, first[value]))
                yield (*path, index, name), f"got {value!r}, which {where} has already", "a unique value"


def _add_credentials(
    directory: MemoryDirectory, made: ConsumerConfig, consumer: Consumer, path: Path
) -> Iterable[Problem]:
    for name, (kind, looked_up) in CREDENTIALS.items():
        for index, item in enumerate(getattr(made, name)):
            key = getattr(item, looked_up)
            created, ttl = getattr(item, "created", None), getattr(item, "ttl", None)
            credential = Credential(
                id=item.id or stable_id("credential", kind, consumer.id, str(index)),
                consumer_id=consumer.id,
                data=as_dict(item),
                expires=_now(created) + ttl if ttl else None,
            )
            if not directory.add(kind, key, credential):
                yield (*path, name, index, looked_up), "is the same as another credential's", "a unique value"


def _now(created: float | None) -> float:
    import time

    return time.time() if created is None else created


def directory(source: Any) -> Directory:
    """Return a directory: ``source`` itself, or one of a list of consumers (ConfigErrors if it is bad)."""
    if hasattr(source, "credential"):
        found: Directory = source
        return found
    made, problems = parse(source)
    if problems:
        raise ConfigErrors([ConfigError(place(p), found, want) for p, found, want in problems])
    return made
