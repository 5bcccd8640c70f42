"""The function notation of the cases for pre-function and post-function, as Python functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plugmw.contrib._functions import function_factory

Operation = dict[str, Any]


def prepared(plugin: str, config: dict[str, Any], log: list[str]) -> dict[str, Any]:
    """Return the configuration with lists of operations replaced by functions."""
    if plugin not in ("pre-function", "post-function"):
        return config
    return {
        phase: [_function(item, log) if isinstance(item, list) else item for item in items]
        if isinstance(items, list)
        else items
        for phase, items in config.items()
    }


def _function(operations: list[Operation], log: list[str]) -> Callable[..., Any]:
    inner = next((op["ops"] for op in operations if op["op"] == "return_function"), None)
    if inner is not None:

        @function_factory
        def factory() -> Callable[[Any], None]:
            for operation in operations:
                if operation["op"] != "return_function":
                    _carry_out(operation, None, log, {})
            return _plain(inner, log)

        return factory
    return _plain(operations, log)


def _plain(operations: list[Operation], log: list[str]) -> Callable[[Any], None]:
    state: dict[str, int] = {}

    def function(x: Any) -> None:
        for operation in operations:
            _carry_out(operation, x, log, state)

    return function


def _carry_out(operation: Operation, x: Any, log: list[str], state: dict[str, int]) -> None:
    kind = operation["op"]
    if kind == "append_to_log":
        log.append(operation["text"])
    elif kind == "raise":
        raise RuntimeError(operation.get("message", "raised by a function"))
    elif kind == "exit":
        body = operation.get("json", operation.get("text"))
        x.exit(_value(operation["status"], x, state), _value(body, x, state), operation.get("headers"))
    elif kind == "set_status":
        x.status = _value(operation["status"], x, state)
    elif kind == "count":
        state["count"] = state.get("count", 0) + 1
    elif kind in ("set_shared", "get_shared"):
        if kind == "set_shared":
            x.ctx[operation["key"]] = _value(operation["value"], x, state)
    elif kind == "set_request_header":
        x.set_request_header(operation["name"], str(_value(operation["value"], x, state)))
    elif kind == "set_response_header":
        x.set_header(operation["name"], str(_value(operation["value"], x, state)))
    elif kind == "clear_query":
        x.environ["QUERY_STRING"] = ""
    else:
        raise ValueError(f"unknown operation {kind!r}")


def _value(value: Any, x: Any, state: dict[str, int]) -> Any:
    """Return a value, looking up ``{"shared": key}``, ``{"request_header": name}``, ``{"count": ...}``."""
    if isinstance(value, dict):
        if set(value) == {"shared"}:
            return x.ctx.get(value["shared"])
        if set(value) == {"request_header"}:
            return x.get_header(value["request_header"])
        if set(value) == {"count"}:
            return str(state.get("count", 0))
        return {key: _value(item, x, state) for key, item in value.items()}
    return value
