"""Declare configuration classes: fields with their defaults, checks and help.

    @config
    class Config:
        minute: float | None = field(None, above(0), help="Requests allowed per minute.")
        token: str = field(REQUIRED, matches("[a-z]+", "small letters"), help="The shared secret.")

A configuration class is an attrs class made by :func:`config`, its fields by :func:`field`.
:mod:`plugmw.schema.reading` turns plain data into an instance, :mod:`plugmw.schema.describing` tells what
it takes.
"""

from __future__ import annotations

import copy
import functools
import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar

import attrs

from plugmw.schema.messages import listed

if TYPE_CHECKING:
    # Type checkers know the module; it need not be installed.
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**facts):
        return lambda function: function


T = TypeVar("T")
REQUIRED: Any = attrs.NOTHING


@attrs.frozen
class Check:
    """A rule for a value: ``test`` says whether it holds, ``expected`` what would be right."""

    test: Callable[[Any], bool]
    expected: str
    json: Mapping[str, object] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class Kind:
    """How a scalar type is read: ``parse`` returns the value or raises ``ValueError``.

    Hashed by identity, as ``Annotated[...] | None`` needs it hashable and ``json`` is not.
    """

    parse: Callable[[object], object]
    expected: str
    json: Mapping[str, object]


def above(low: float) -> Check:
    """Numbers greater than ``low``."""
    return Check(lambda v: v > low, f"a number above {low:g}", {"exclusiveMinimum": low})


def at_least(low: float) -> Check:
    """Numbers not below ``low``."""
    return Check(lambda v: v >= low, f"a number of at least {low:g}", {"minimum": low})


def between(low: float, high: float) -> Check:
    """Numbers from ``low`` to ``high``, both included."""
    return Check(
        lambda v: low <= v <= high,
        f"a number between {low:g} and {high:g}",
        {"minimum": low, "maximum": high},
    )


def one_of(*choices: object) -> Check:
    """One of the given values."""
    return Check(lambda v: v in choices, f"one of {listed(choices)}", {"enum": list(choices)})


def matches(pattern: str, expected: str) -> Check:
    """Strings that ``pattern`` matches as a whole."""
    whole = re.compile(pattern).fullmatch
    return Check(lambda v: whole(v) is not None, expected, {"pattern": f"^(?:{pattern})$"})


def not_empty() -> Check:
    """Lists and maps with at least one item."""
    return Check(bool, "at least one item", {"minItems": 1, "minProperties": 1})


def each(check: Check) -> Check:
    """Lists whose every item passes ``check``."""
    return Check(
        lambda v: all(check.test(item) for item in v), f"a list of {check.expected}", {"items": check.json}
    )


def field(
    default: Any = REQUIRED,
    *checks: Check,
    help: str,
    secret: bool = False,
    credential: bool = False,
    empty: bool = False,
    aliases: tuple[str, ...] = (),
    inert: bool = False,
    repr: bool = True,
) -> Any:
    """Declare a field: default (required if left out), checks, and one sentence of help with the unit.

    ``secret`` values never appear in messages and may be references (:mod:`plugmw.schema.references`);
    ``credential`` values are names of headers and parameters that log entries leave out; ``empty`` allows
    ``""``; ``aliases`` are older spellings that are read too (both at once is an error). An ``inert`` field
    is checked and does nothing, which the log says of any value but the default. Without ``repr`` a value
    that may hold a secret is left out of the repr of its class.
    """
    if isinstance(default, Check):
        raise TypeError(
            f"field() got the check for {default.expected} as default,"
            " expected REQUIRED or a default before the checks"
        )
    metadata = {
        "checks": checks,
        "help": help,
        "secret": secret,
        "credential": credential,
        "empty": empty,
        "aliases": aliases,
        "inert": inert,
    }
    if isinstance(default, (list, dict, set)):
        factory = functools.partial(copy.deepcopy, default)
        return attrs.field(factory=factory, kw_only=True, repr=repr and not secret, metadata=metadata)
    return attrs.field(default=default, kw_only=True, repr=repr and not secret, metadata=metadata)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def config(cls: type[T]) -> type[T]:
    """Make a configuration class. It may define ``check(self)``, a generator of problems.

    ``check`` is called when every field is good by itself; it yields texts, or (field, text). Type checkers
    know the names and types of the constructor's arguments; that a required one is missing they do not see.
    """
    return attrs.define(cls, frozen=True, kw_only=True, slots=True)


@config
class Nothing:
    """The configuration of a plugin that has none."""


def _exactly(*kinds: type) -> Callable[[object], object]:
    def parse(value: object) -> object:
        if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
            raise ValueError
        return value

    return parse


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise ValueError
    return float(value) if isinstance(value, float) else value


def _is_finite(number: float) -> bool:
    # Not math.isfinite, which an integer may be too large for.
    return number == number and number not in (float("inf"), float("-inf"))


SCALARS: Final[dict[object, Kind]] = {
    str: Kind(_exactly(str), "a string", {"type": "string"}),
    int: Kind(_exactly(int), "an integer", {"type": "integer"}),
    float: Kind(_number, "a number", {"type": "number"}),
    bool: Kind(_exactly(bool), "a boolean", {"type": "boolean"}),
    Any: Kind(lambda value: value, "any value", {}),
    object: Kind(lambda value: value, "any value", {}),
}


@attrs.frozen(eq=False)
class Field:
    """A field as it was declared by :func:`field`, with its type."""

    name: str
    hint: object
    checks: tuple[Check, ...]
    help: str
    secret: bool
    empty: bool
    aliases: tuple[str, ...]
    #: The default, or attrs' Factory of one, ``REQUIRED`` if there is none.
    _default: Any

    @property
    def required(self) -> bool:
        return self._default is REQUIRED

    @property
    def default(self) -> Any:
        """The default, a list or mapping as a copy of its own; ``REQUIRED`` if there is none."""
        if isinstance(self._default, attrs.Factory):  # type: ignore[arg-type]
            return self._default.factory()
        return self._default


def is_config(hint: object) -> TypeGuard[type]:
    """Tell whether a type hint is a configuration class."""
    return isinstance(hint, type) and attrs.has(hint)


def fields_of(cls: type) -> list[Field]:
    """Return the fields of a configuration class, in order."""
    fields: tuple[Field, ...] | None = cls.__dict__.get("__plugmw_fields__")
    if fields is None:
        hints = _hints(cls)
        fields = tuple(_field(attribute, hints[attribute.name]) for attribute in attrs.fields(cls))
        type.__setattr__(cls, "__plugmw_fields__", fields)
    return list(fields)


def _field(attribute: attrs.Attribute[object], hint: object) -> Field:
    rules = attribute.metadata
    return Field(
        attribute.name,
        hint,
        checks=rules["checks"],
        help=rules["help"],
        secret=rules["secret"],
        empty=rules["empty"],
        aliases=rules["aliases"],
        default=attribute.default,
    )


def _hints(cls: type) -> dict[str, object]:
    hints: dict[str, object] | None = cls.__dict__.get("__plugmw_hints__")
    if hints is None:
        hints = typing.get_type_hints(cls, include_extras=True)
        type.__setattr__(cls, "__plugmw_hints__", hints)
    return hints
