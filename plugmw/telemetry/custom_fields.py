"""Fields that a configuration adds to the log entry: ``custom_fields_by_lua`` of the log plugins.

    custom_fields_by_lua:
      shop.number: 7                    # a JSON value
      shop.name: '"north"'              # or the text of one
      team: shop.logs:team_of           # module:callable, called with the exchange
      response.headers: return nil      # Lua as in a Kong document; nil takes a field away

Lua that returns a literal is read here. All other Lua needs the library lupa; it has those of Lua's own
functions that do no harm, and not ``kong``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from plugmw.errors import ConfigError, LoadError
from plugmw.loading.imports import resolve
from plugmw.schema import field
from plugmw.schema.messages import shown
from plugmw.telemetry.log_entry import Custom, check_key, check_value

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

Fields = dict[str, object]
_CALLABLE: Final = re.compile(r"[A-Za-z_./][\w./-]*:[A-Za-z_][\w.]*").fullmatch
_RETURN: Final = re.compile(r"\s*return\b\s*(?P<value>.*?)\s*;?\s*", re.DOTALL).fullmatch
_NUMBER: Final = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)").fullmatch
_LONG: Final = re.compile(r"\[(=*)\[\n?(?P<text>(?:(?!\]\1\]).)*)\]\1\]", re.DOTALL).fullmatch
_QUOTED: Final = re.compile(r"""(["'])(?P<text>(?:\\.|(?!\1)[^\\\n])*)\1""", re.DOTALL).fullmatch
_ESCAPE: Final = re.compile(r"\\(?:(\d{1,3})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_CONSTANTS: Final[dict[str, object]] = {"": None, "nil": None, "true": True, "false": False}
#: What Lua text may use: nothing that reaches files, processes, Python or other code.
_LUA_GLOBALS: Final = (
    *("assert", "error", "ipairs", "math", "next", "pairs", "pcall", "select", "string", "table"),
    *("tonumber", "tostring", "type", "unpack"),
)


def custom_fields() -> Any:
    """Declare ``custom_fields_by_lua`` in a configuration class."""
    return field(None, help="Fields to add to the entry: JSON, `module:callable` or Lua by (dotted) name.")


def read_fields(given: Mapping[str, object] | None) -> list[Custom]:
    """Return the fields in order; raises :class:`ConfigError` for one that cannot be."""
    return [(key, _read(key, value)) for key, value in (given or {}).items()]


def _read(key: str, value: object) -> Callable[[Exchange], object]:
    try:
        check_key(key)
        if callable(value):
            return value
        return _text(value) if isinstance(value, str) else _always(value)
    except (ValueError, LoadError) as error:
        raise ConfigError(f"custom_fields_by_lua.{key}", f"got {shown(value)}: {error}") from error


def _always(value: object) -> Callable[[Exchange], object]:
    check_value(value)
    return lambda x: value


def _text(text: str) -> Callable[[Exchange], object]:
    if not text.strip():
        raise ValueError("expected JSON, module:callable or Lua")
    if _CALLABLE(text):
        call: object = resolve(text)
        if not callable(call):
            raise ValueError("is nothing that can be called")
        return call
    try:
        returned = _RETURN(text)
        return _always(literal(returned["value"]) if returned else json.loads(text, parse_constant=_refuse))
    except ValueError:
        return _lua(text)


def _refuse(name: str) -> object:
    raise ValueError(name)


def literal(text: str) -> object:
    """Read a Lua literal: nil, a boolean, a number or a string. Raises ``ValueError`` for all else."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _NUMBER(text):
        # Lua of Kong knows one kind of number: 5.0 is 5.
        number = float(int(text, 16)) if "x" in text.lower() else float(text)
        check_value(number)
        return int(number) if number.is_integer() else number
    long = _LONG(text)
    if long:
        return long["text"]
    quoted = _QUOTED(text)
    if quoted:
        text = _ESCAPE.sub(_unescaped, quoted["text"])
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    raise ValueError("no literal")


_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def _unescaped(found: re.Match[str]) -> str:
    decimal, byte, code, letter = found.groups()
    if decimal or byte:
        return bytes((int(decimal) if decimal else int(byte, 16),)).decode("utf-8", "surrogateescape")
    if code:
        return chr(int(code, 16))
    return _ESCAPES.get(letter, letter)


def _lua(text: str) -> Callable[[Exchange], object]:
    """Return a function that runs Lua text; raises :class:`LoadError`, or ``ValueError`` for bad Lua."""
    try:
        import lupa
    except ModuleNotFoundError:
        raise LoadError(
            "is no JSON, no module:callable and no Lua literal",
            "other Lua needs the library lupa, which is not installed",
            "pip install 'plugmw[lua]'",
        ) from None
    lua = lupa.LuaRuntime(register_eval=False, register_builtins=False, unpack_returned_tuples=True)
    for name in set(lua.globals()) - set(_LUA_GLOBALS):
        lua.globals()[name] = None
    try:
        run = lua.compile(text)
    except lupa.LuaError as error:
        raise ValueError(f"is no JSON, no module:callable and no good Lua: {error}") from error
    return functools.partial(_run, lupa.lua_type, run)


def _run(type_of: Callable[[object], object], run: Callable[[], object], x: Exchange) -> object:
    return _plain(type_of, run())


def _plain(type_of: Callable[[object], object], value: Any) -> object:
    """Turn what Lua returned into JSON types; tables with 1, 2, 3 ... as keys become lists."""
    if isinstance(value, tuple):
        value = value[0]
    if type_of(value) != "table":
        return value
    items = {key: _plain(type_of, item) for key, item in value.items()}
    places = range(1, len(items) + 1)
    if items and set(items) == set(places):
        return [items[place] for place in places]
    return {str(key): item for key, item in items.items()}
