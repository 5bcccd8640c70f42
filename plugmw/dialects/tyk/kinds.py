"""Kinds of fields as Go's decoder takes them: nothing is coerced, and zero is what is not given."""

from __future__ import annotations

from typing import Annotated, Any, Final

from plugmw.schema import Kind, field

_WORDS: Final[dict[type, tuple[str, str]]] = {
    bool: ("true or false", "boolean"),
    str: ("a text", "string"),
    int: ("a number", "integer"),
    list: ("a list", "array"),
    float: ("a number", "number"),
}


def _kind(wanted: type) -> Kind:
    expected, json_type = _WORDS[wanted]

    def parse(value: object) -> object:
        if wanted is float and isinstance(value, int):
            value = value if isinstance(value, bool) else float(value)
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise ValueError
        return value

    return Kind(parse, expected, {"type": json_type})


Flag = Annotated[bool, _kind(bool)]
Text = Annotated[str, _kind(str)]
Number = Annotated[int, _kind(int)]
Amount = Annotated[float, _kind(float)]
Items = Annotated[list[object], _kind(list)]


def flag(help: str, default: bool = False) -> Any:
    return field(default, help=help)


def text(help: str) -> Any:
    return field("", empty=True, help=help)


def items(help: str) -> Any:
    return field([], help=help)


def number(help: str) -> Any:
    return field(0, help=help)


def amount(help: str) -> Any:
    return field(0.0, help=help)
