"""The generated source: the one that is printed in the module is the one that is written."""

from __future__ import annotations

import textwrap

from plugmw import Entry
from plugmw.kernel import chain_source
from plugmw.kernel.chain import Compiled
from plugmw.kernel.order import Slot
from plugmw.kernel.runtime import Runtime
from plugmw.testing import hello_app
from tests.support.plugins import nothing


def test_the_source_in_the_docstring_is_what_a_chain_of_these_plugins_gets(monkeypatch):
    written = []

    def compiled(text):
        written.append(text)
        return chain_source.compiled(text)

    monkeypatch.setattr("plugmw.kernel.chain.compiled", compiled)
    entries = [
        Entry(nothing("access", name="a")),
        Entry(nothing("header_filter", name="b"), consumer="Alice", on_error="open"),
        Entry(nothing("log", name="c")),
    ]
    Compiled([Slot(entry.name, [entry]) for entry in entries], hello_app, Runtime())
    example = chain_source.__doc__[chain_source.__doc__.index("    def run(") :]
    assert textwrap.dedent(example).strip() == written[0].strip()
