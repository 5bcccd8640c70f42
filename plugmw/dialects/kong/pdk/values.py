"""Headers and arguments as PDK functions give them: bounded in number, with truncation signalled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from plugmw.wsgi.text import unquote_field


class Args(dict[str, Any]):
    """Names to values (a list where a name is repeated); ``err`` is "truncated" if there were more."""

    err: str | None = None


class Headers(Args):
    """Header names in lower case; look-ups ignore case and take ``-`` and ``_`` for the same."""

    def __missing__(self, name: str) -> Any:
        wanted = fold(name)
        for key, value in self.items():
            if fold(key) == wanted:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, self) is not self


A = TypeVar("A", bound=Args)
T = TypeVar("T")


def fold(name: str) -> str:
    """Return the form in which header names are compared."""
    return name.lower().replace("_", "-")


def checked_max(value: object, name: str) -> int:
    """Return a maximum count (100 if None); raises as Kong does outside 1..1000."""
    if value is None:
        return 100
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a number")
    if value < 1:
        raise ValueError(f"{name} must be >= 1")
    if value > 1000:
        raise ValueError(f"{name} must be <= 1000")
    return value


def collect(collected: A, pairs: Iterable[tuple[str, object]], most: int) -> A:
    """Fill ``collected`` with at most ``most`` pairs, repeated names as lists."""
    for count, (name, value) in enumerate(pairs):
        if count >= most:
            collected.err = "truncated"
            break
        if dict.__contains__(collected, name):
            before = dict.__getitem__(collected, name)
            if isinstance(before, list):
                before.append(value)
            else:
                collected[name] = [before, value]
        else:
            collected[name] = value
    return collected


def first(value: list[T] | T) -> T:
    """Return the first of repeated values."""
    return value[0] if isinstance(value, list) else value


def query_pairs(query: str) -> Iterable[tuple[str, str | bool]]:
    """Yield (name, value) of a query string: ``?a`` is True, ``?a=`` is ``""``; split on ``&`` only."""
    for part in query.split("&"):
        if part:
            name, equals, value = part.partition("=")
            yield unquote_field(name, "replace"), unquote_field(value, "replace") if equals else True


def header_texts(name: object, value: object) -> list[str]:
    """Return the texts of a header's value (``kong/pdk/private/checks.lua``); "" becomes a blank."""
    if not isinstance(name, str):
        raise TypeError(f"invalid header name {name!r}: got {type(name).__name__}, expected string")
    if isinstance(value, (list, tuple)):
        for one in value:
            if not isinstance(one, str):
                raise TypeError(
                    f'invalid header value in array "{name}": got {type(one).__name__}, expected string'
                )
        return [one or " " for one in value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if not isinstance(value, (str, int, float)):
        raise TypeError(
            f'invalid header value for "{name}": got {type(value).__name__}, '
            "expected string, number, boolean or array of strings"
        )
    return [str(value) or " "]
