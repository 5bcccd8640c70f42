"""The command about who uses the API, in a consumer store: consumers add, list, key, revoke."""

from __future__ import annotations

import secrets
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from typing import Final, TypedDict

from plugmw.auth.directories import SQLDirectory, open_directory
from plugmw.cli import gateway_file
from plugmw.cli.command import BAD, GOOD, USAGE, Command, Failure, Terminal, columns
from plugmw.kernel.identity import Consumer

#: Bytes of a generated secret: 256 bits.
STRENGTH: Final = 32
#: Kind of credential -> the field that is secret, and the one that is a name if there is one.
KINDS: Final = {
    "key-auth": ("key", None),
    "basic-auth": ("password", "username"),
    "hmac-auth": ("secret", "username"),
    "jwt": ("secret", "key"),
}


def opened(place: str) -> SQLDirectory:
    """Return the consumer store of a URL, or the one that a gateway file names."""
    if "://" in place:
        return open_directory(place)
    url = gateway_file.read(place).settings.consumer_store
    if not url:
        raise Failure(f"{place}: consumer_store: missing, expected the URL of a consumer store", USAGE)
    return open_directory(url)


def named(store: SQLDirectory, name: str) -> Consumer:
    """Return a consumer by id, username or custom id."""
    consumer = store.consumer(name)
    if consumer is None:
        raise Failure(f'{store.database.url}: no consumer "{name}"', BAD)
    return consumer


def add(args: Namespace, terminal: Terminal, store: SQLDirectory) -> int:
    consumer = store.add(
        {
            "username": args.name,
            "custom_id": args.custom_id,
            "tags": args.tags,
            "acls": [{"group": group} for group in args.groups],
        }
    )
    if args.json:
        terminal.json(_consumer(consumer))
    else:
        terminal.print(f"{args.name}: added, id {consumer.id}")
    return GOOD


def list_(args: Namespace, terminal: Terminal, store: SQLDirectory) -> int:
    listed: list[_Listed] = [
        {
            **_consumer(consumer),
            "credentials": [
                {"id": one.id, "kind": kind, "identifier": one.identifier, "expires": one.expires}
                for kind, one in store.credentials_of(consumer)
            ],
        }
        for consumer in store.consumers()
    ]
    if args.json:
        terminal.json(listed)
        return GOOD
    rows: list[tuple[str, ...]] = [("consumer", "custom id", "groups", "kind", "credential", "expires")]
    for item in listed:
        name, groups = item["username"] or item["id"], " ".join(item["groups"])
        who = (name, item["custom_id"] or "", groups)
        rows += [(*who, one["kind"], one["id"], _time(one["expires"])) for one in item["credentials"]]
        rows += [] if item["credentials"] else [(*who, "", "", "")]
    terminal.print("\n".join(columns(rows)) if listed else "no consumers")
    return GOOD


def key(args: Namespace, terminal: Terminal, store: SQLDirectory) -> int:
    consumer = named(store, args.name)
    secret_field, name_field = KINDS[args.kind]
    if args.ttl is not None and args.kind != "key-auth":
        raise Failure(f"--ttl: {args.kind} credentials do not expire, expected it with key-auth", USAGE)
    if args.username is not None and name_field is None:
        raise Failure(f"--username: {args.kind} credentials have none", USAGE)
    secret = _from_stdin() if args.stdin else secrets.token_urlsafe(STRENGTH)
    shown: dict[str, str] = {}
    if name_field is not None:
        shown[name_field] = args.username or consumer.username or consumer.id
    if not args.stdin:
        shown[secret_field] = secret
    fields: dict[str, object] = {secret_field: secret, **shown}
    if args.ttl is not None:
        fields |= {"ttl": args.ttl, "created": time.time()}
    credential = store.add_credential(consumer, args.kind, fields)
    if args.json:
        terminal.json({"id": credential.id, "kind": args.kind, "expires": credential.expires, **shown})
        return GOOD
    once = "" if args.stdin else "; it is not shown again"
    terminal.print(f"{args.kind} {credential.id} of {args.name}: added{once}")
    for line in columns([("", ""), *shown.items()], "  ")[1:]:
        terminal.print(line)
    return GOOD


def revoke(args: Namespace, terminal: Terminal, store: SQLDirectory) -> int:
    if args.consumer:
        store.remove(named(store, args.name))
        terminal.print(f"{args.name}: removed, with all credentials")
        return GOOD
    if not store.revoke(args.name):
        raise Failure(f'{store.database.url}: no credential "{args.name}"; list shows their ids', BAD)
    terminal.print(f"{args.name}: revoked")
    return GOOD


class _Consumer(TypedDict):
    id: str
    username: str | None
    custom_id: str | None
    tags: tuple[str, ...]
    groups: tuple[str, ...]


class _Credential(TypedDict):
    id: str
    kind: str
    identifier: str | None
    expires: float | None


class _Listed(_Consumer):
    credentials: list[_Credential]


def _consumer(consumer: Consumer) -> _Consumer:
    return {
        "id": consumer.id,
        "username": consumer.username,
        "custom_id": consumer.custom_id,
        "tags": consumer.tags,
        "groups": consumer.groups,
    }


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def _from_stdin() -> str:
    secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise Failure("standard input: empty, expected the secret in one line", USAGE)
    return secret


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e10:
        raise ArgumentTypeError(f"got {text!r}, expected a number of seconds above 0")
    return value


def _arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    def action(name: str, text: str, run: Callable[..., int]) -> ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text)
        sub.add_argument("store", metavar="STORE", help="a gateway file, or the URL of a consumer store")
        sub.set_defaults(action=run)
        return sub

    sub = action("add", "Add a consumer.", add)
    sub.add_argument("name", metavar="NAME", help="its unique user name")
    sub.add_argument("--custom-id", metavar="ID", help="its unique identifier in another system")
    sub.add_argument("--group", metavar="GROUP", action="append", default=[], dest="groups")
    sub.add_argument("--tag", metavar="TAG", action="append", default=[], dest="tags")
    sub.add_argument("--json", action="store_true", help="print JSON instead of text")
    sub = action("list", "List consumers and their credentials, without secrets.", list_)
    sub.add_argument("--json", action="store_true", help="print JSON instead of text")
    sub = action("key", "Give a consumer a credential; what is generated is shown once.", key)
    sub.add_argument("name", metavar="NAME", help="the consumer: user name, id or custom id")
    sub.add_argument("--kind", choices=KINDS, default="key-auth", help="for which plugin (%(default)s)")
    sub.add_argument(
        "--username", metavar="NAME", help="user name, or key of a jwt; the consumer's if not given"
    )
    sub.add_argument("--ttl", metavar="SECONDS", type=_seconds, help="seconds until a key is unknown")
    sub.add_argument("--stdin", action="store_true", help="read the secret from standard input")
    sub.add_argument("--json", action="store_true", help="print JSON instead of text")
    sub = action("revoke", "Take a credential away, or remove a consumer.", revoke)
    sub.add_argument("name", metavar="ID", help="id of a credential; with --consumer, a consumer")
    sub.add_argument("--consumer", action="store_true", help="remove this consumer and all it has")


def consumers(args: Namespace, terminal: Terminal) -> int:
    store = opened(args.store)
    try:
        status: int = args.action(args, terminal, store)
        return status
    finally:
        store.close()


COMMANDS = (
    Command("consumers", "Add, list and revoke consumers in a consumer store.", consumers, _arguments),
)
