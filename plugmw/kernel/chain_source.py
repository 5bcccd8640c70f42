"""The source of a chain's functions, written once per shape.

One call per plugin method, without loops or look-ups. A shape is all that the source depends on: per slot how
many variants have each phase (all, some, none), whether its plugin is known when the chain is compiled, and
whether a failure may be forgiven. Nothing of a configuration is in the source, only indexes.

Of three slots (0: a plugin with ``access``; 1: one with ``header_filter``, limited to a consumer, with
``on_error: open``; 2: one with ``log``) this is written; a test compares it:

    def run(environ, start_response):
        x = X()
        x.environ = environ
        x._server = start_response
        try:
            access0(x)
            x._p1 = pick1(x)
        except BaseException as error:
            x._server = start_response
            return x._halt(error)
        try:
            it = app(environ, x._start)
        except BaseException as error:
            return x._crash(error)
        return x._begin(it)
    def enter(x):
        x.__class__ = X
        environ = x.environ
        start_response = x._server
        x.phase = 'access'
        try:
            access0(x)
            x._p1 = pick1(x)
        except BaseException as error:
            x._server = start_response
            return x._halt(error)
        try:
            it = app(environ, x._start)
        except BaseException as error:
            return x._crash(error)
        return x._begin(it)
    def _start(self, status, headers, exc_info=None):
        if self.status_line: return self._restart(status, headers, exc_info)
        self.header_list = list(headers) if self.header_list is None else self._merge(headers)
        self.status_line = status
        self.phase = 'header_filter'
        try:
            p = self._p1
            try:
                if p is not None and p is not unpicked: p.header_filter(self)
            except BaseException as error:
                self._chain.forgive(self, 1, error)
        except BaseException as error:
            self._filter_failed(error)
        if self._body is not None: return self._replace(exc_info)
        self._state = started
        if exc_info is None:
            return self._server(self.status_line, self.header_list)
        return self._server(self.status_line, self.header_list, exc_info)
    def _filter_headers(self):
        p = self._p1
        try:
            if p is not None and p is not unpicked: p.header_filter(self)
        except BaseException as error:
            self._chain.forgive(self, 1, error)
        return None
    def _respond(self):
        return None
    def _log(self):
        try:
            log2(self)
        except BaseException as error:
            self._chain.log_in_spite_of(self, 2, error)
        return None
    def _pick(x):
        if x._p1 is unpicked:
            try:
                x._p1 = pick1(x)
            except BaseException as error:
                x._chain.overlook(x, error)
        return None
"""

from __future__ import annotations

import functools
import itertools
from types import CodeType
from typing import NamedTuple

from plugmw.kernel import phases
from plugmw.kernel.order import Share

#: The phases that are written out; the order in which a shape tells of them.
WRITTEN = (phases.ACCESS, phases.RESPONSE, phases.HEADER_FILTER, phases.BODY_FILTER, phases.LOG)


class Part(NamedTuple):
    """What the source depends on in one slot."""

    #: How many of the slot's variants have each phase of :data:`WRITTEN`.
    shares: tuple[Share, ...]
    #: Whether the plugin is known when the chain is compiled.
    direct: bool
    #: Whether a failure may be forgiven.
    is_open: bool
    #: Whether ``app`` depends on which plugin was picked: a wrapper, which is the last of its chain.
    chooses: bool = False

    def share(self, phase: str) -> Share:
        return self.shares[WRITTEN.index(phase)]


Shape = tuple[Part, ...]
#: How a generated line is traced back to its slot: every file name is unique per shape.
_FILE = "<plugmw chain {}>"
_numbers = itertools.count(1)


@functools.lru_cache(maxsize=1024)
def compiled(text: str) -> CodeType:
    return compile(text, _FILE.format(next(_numbers)), "exec")


class _Writer:
    """Lines of source; ``lines`` maps line numbers to the slot that is called there.

    With ``timed`` the calls of plugins that a request picks go through the function of that name; others are
    timed by what stands under their names.
    """

    def __init__(self, timed: bool) -> None:
        self.timed = timed
        self.text: list[str] = []
        self.lines: dict[int, int] = {}

    def add(self, indent: int, text: str, slot: int | None = None) -> None:
        self.text.append("    " * indent + text)
        if slot is not None:
            self.lines[len(self.text)] = slot

    def call(self, indent: int, phase: str, i: int, part: Part, x: str, pick: bool = False) -> None:
        """Write one call of slot ``i``: choosing it first, skipping it, forgiving it as its shape says."""
        if not part.direct and pick:
            # Outside of the try: what fails in choosing is judged by the picker.
            self.add(indent, f"p = {x}._p{i} = pick{i}({x})", i)
        elif not part.direct:
            self.add(indent, f"p = {x}._p{i}")
        if part.is_open:
            self.add(indent, "try:")
            indent += 1
        if part.direct:
            self.add(indent, f"{phase}{i}({x})", i)
        elif part.share(phase) == "some":
            # Variants of different classes: not every one has this phase.
            self.add(indent, f"m = getattr(p, {phase!r}, None)")
            call = f"timed(p, {phase!r}, m, {x})" if self.timed else f"m({x})"
            self.add(indent, f"if m is not None: {call}", i)
        else:
            test = "p is not None" if pick else "p is not None and p is not unpicked"
            call = f"timed(p, {phase!r}, p.{phase}, {x})" if self.timed else f"p.{phase}({x})"
            self.add(indent, f"if {test}: {call}", i)
        if part.is_open:
            self.add(indent - 1, "except BaseException as error:")
            self.add(indent, f"{x}._chain.forgive({x}, {i}, error)", i)


@functools.lru_cache(maxsize=1024)
def source(
    shape: Shape, answer_crashes: bool, measures: bool, watches: bool, timed: bool = False
) -> tuple[str, dict[int, int]]:
    """Write the functions of a chain of this shape."""
    write = _Writer(timed)
    access, response, header, body, log = (
        [i for i, part in enumerate(shape) if part.share(phase) != "none"] for phase in WRITTEN
    )
    picked = [i for i, part in enumerate(shape) if not part.direct]
    # What only wraps takes no part in an answer that is given above it.
    sees_answers = [i for i in picked if not shape[i].chooses or set(shape[i].shares) != {"none"}]
    # Nobody looks at the body; nobody looks at the answer at all.
    light = not (response or body or log or answer_crashes or measures or watches)
    _write_run(write, shape, access, picked, light, measures, plain=light and not header)
    _write_start(write, shape, header, bool(body), bool(response), measures, watches)
    _write_phase(write, shape, "_filter_headers", "header_filter", header)
    _write_phase(write, shape, "_respond", "response", response)
    _write_log(write, shape, log)
    _write_pick(write, sees_answers)
    return "\n".join(write.text) + "\n", write.lines


def _write_run(
    write: _Writer,
    shape: Shape,
    access: list[int],
    picked: list[int],
    light: bool,
    measures: bool,
    plain: bool,
) -> None:
    app = f"app(x._p{len(shape) - 1})" if shape and shape[-1].chooses else "app"
    for head in ("run(environ, start_response)", "enter(x)"):
        write.add(0, f"def {head}:")
        if head == "enter(x)":
            write.add(1, "x.__class__ = X")
            write.add(1, "environ = x.environ")
            write.add(1, "start_response = x._server")
            write.add(1, "x.phase = 'access'")
        else:
            write.add(1, "x = X()")
            write.add(1, "x.environ = environ")
            if not plain:
                write.add(1, "x._server = start_response")
            if measures:
                write.add(1, "x._note_begin()")
        if access or picked:
            write.add(1, "try:")
            for i in sorted({*access, *picked}):
                if i in access:
                    write.call(2, "access", i, shape[i], "x", pick=True)
                else:
                    write.add(2, f"x._p{i} = pick{i}(x)", i)
            write.add(1, "except BaseException as error:")
            write.add(2, "x._server = start_response")
            write.add(2, "return x._halt(error)")
        if plain:
            # Nobody looks at the answer: unless a plugin wants headers on it, it is the app's alone.
            write.add(1, "if x.header_list is None:")
            write.add(2, f"return {app}(environ, start_response)")
            write.add(1, "x._server = start_response")
        if measures:
            write.add(1, "x.app_called = now()")
        write.add(1, "try:")
        write.add(2, f"it = {app}(environ, x._start)")
        write.add(1, "except BaseException as error:")
        write.add(2, "return x._crash(error)")
        if plain:
            write.add(1, "return it")
            continue
        if light:
            write.add(1, "if x._state is started: return it")
        write.add(1, "return x._begin(it)")


def _write_start(
    write: _Writer, shape: Shape, header: list[int], body: bool, response: bool, measures: bool, watches: bool
) -> None:
    write.add(0, "def _start(self, status, headers, exc_info=None):")
    write.add(1, "if self.status_line: return self._restart(status, headers, exc_info)")
    if watches:
        write.add(1, "self._note_service(status, headers)")
    write.add(1, "self.header_list = list(headers) if self.header_list is None else self._merge(headers)")
    write.add(1, "self.status_line = status")
    if response or watches:
        write.add(1, "if self._chain.wants_response(self): return self._read_answer(exc_info)")
    if header:
        write.add(1, "self.phase = 'header_filter'")
        write.add(1, "try:")
        for i in header:
            write.call(2, "header_filter", i, shape[i], "self")
        write.add(1, "except BaseException as error:")
        write.add(2, "self._filter_failed(error)")
    if body:
        write.add(1, "return self._open(exc_info)")
        return
    if header:
        write.add(1, "if self._body is not None: return self._replace(exc_info)")
    write.add(1, "self._state = started")
    write.add(1, "if exc_info is None:")
    begin = "self._write =" if measures else "return"
    write.add(2, f"{begin} self._server(self.status_line, self.header_list)")
    if measures:
        write.add(1, "else:")
    write.add(2 if measures else 1, f"{begin} self._server(self.status_line, self.header_list, exc_info)")
    if measures:
        write.add(1, "return self._write_counted")


def _write_phase(write: _Writer, shape: Shape, name: str, phase: str, members: list[int]) -> None:
    write.add(0, f"def {name}(self):")
    for i in members:
        write.call(1, phase, i, shape[i], "self")
    write.add(1, "return None")


def _write_log(write: _Writer, shape: Shape, members: list[int]) -> None:
    write.add(0, "def _log(self):")
    for i in members:
        write.add(1, "try:")
        write.call(2, "log", i, shape[i]._replace(is_open=False), "self")
        write.add(1, "except BaseException as error:")
        write.add(2, f"self._chain.log_in_spite_of(self, {i}, error)")
    write.add(1, "return None")


def _write_pick(write: _Writer, picked: list[int]) -> None:
    """Write the choice of the slots below one that exited: they still see the answer."""
    write.add(0, "def _pick(x):")
    for i in picked:
        write.add(1, f"if x._p{i} is unpicked:")
        write.add(2, "try:")
        write.add(3, f"x._p{i} = pick{i}(x)", i)
        # One answer is on its way already; a condition cannot give another.
        write.add(2, "except BaseException as error:")
        write.add(3, "x._chain.overlook(x, error)")
    write.add(1, "return None")
