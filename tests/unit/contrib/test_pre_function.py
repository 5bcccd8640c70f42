"""pre-function: before all others. What functions are and do is in tests/unit/contrib/test_functions.py."""

from __future__ import annotations

import json
import math

import pytest

from plugmw import ConfigError, Entry, Plugin
from plugmw.configuration.plan import read_plan
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.pre_function import PreFunction
from plugmw.contrib.request_transformer import RequestTransformer
from plugmw.inspection.description import plugins, show
from plugmw.sources import Catalogue
from plugmw.testing import gateway, get
from tests.support.plugins import noting

BOB = [{"username": "bob", "keyauth_credentials": [{"key": "secret"}]}]
FILE = {
    "plugins": [
        {"name": "ip-restriction", "config": {"deny": ["10.0.0.0/8"]}},
        {"name": "pre-function", "config": {"packages": ["os"], "access": ["os:getpid"]}},
    ]
}


def test_an_empty_configuration_is_refused():
    with pytest.raises(ConfigError, match="at least one of these fields must be non-empty"):
        PreFunction()


def test_a_text_that_is_no_import_path_is_refused():
    with pytest.raises(ConfigError, match=r"access\[0\]: error parsing pre-function: got 'print\('"):
        gateway(PreFunction(access=["print("]))


def test_supplies_credentials_before_they_are_checked():
    config = {"consumers": BOB}
    function = PreFunction(access=[lambda x: x.set_request_header("apikey", "secret")])
    saw = []
    get([KeyAuth(), function], config, environ={"plugmw.testing.saw": saw})
    assert saw[0]["HTTP_X_CONSUMER_USERNAME"] == "bob"


def test_answers_before_any_check_and_response_phases_still_run():
    function = PreFunction(
        access=[lambda x: x.exit(403)], header_filter=[lambda x: x.set_header("x-seen", "1")]
    )
    answer = get([KeyAuth(), function])
    assert (answer.status_code, answer.headers["x-seen"]) == (403, "1")


def test_its_context_reaches_templates():
    function = PreFunction(access=[lambda x: x.ctx.update(my_version="1.2.3")])
    transformer = RequestTransformer(add={"querystring": ["v:$(shared.my_version)"]})
    saw = []
    get([transformer, function], environ={"plugmw.testing.saw": saw})
    assert saw[0]["QUERY_STRING"] == "v=1.2.3"


# -- the priority -------------------------------------------------------------------------------------


def test_is_first_in_every_phase():
    journal = []
    phases = ("rewrite", "access", "header_filter", "log")
    other = noting("zzz", journal, *phases, priority=10**300)
    note = {phase: [lambda x, phase=phase: journal.append(f"pre.{phase}")] for phase in phases}
    get([other, PreFunction(**note)])
    assert journal == [text for phase in phases for text in (f"pre.{phase}", f"zzz.{phase}")]


def test_its_priority_is_shown():
    line = show(read_plan(FILE))["chains"][0]["slots"]
    assert [(slot["name"], slot["priority"]) for slot in line] == [
        ("pre-function", "inf"),
        ("ip-restriction", 3000),
    ]
    listed = plugins(Catalogue())
    assert (listed[0]["name"], listed[0]["priority"]) == ("pre-function", "inf")
    for told in (line, listed):
        assert "Infinity" not in json.dumps(told)


@pytest.mark.parametrize("arguments", [["show"], ["show", "--json"], ["plugins"], ["plugins", "--json"]])
def test_the_command_line_shows_it(tmp_path, capsys, arguments):
    from plugmw.cli import main

    file = tmp_path / "gateway.json"
    file.write_text(json.dumps(FILE))
    main([*arguments, str(file)] if arguments[0] == "show" else arguments)
    written = capsys.readouterr().out
    assert "inf" in written
    if "--json" in arguments:
        json.loads(written, parse_constant=pytest.fail)


def test_no_other_plugin_may_claim_infinity():
    class First(Plugin):
        name, priority = "zzz", math.inf

        def access(self, x):
            x.exit(200)

    class Derived(PreFunction):
        name = "zzzz"

    for plugin in (First(), Derived(access=[print])):
        with pytest.raises(ConfigError, match="priority: got inf, expected a number"):
            gateway(plugin)


@pytest.mark.parametrize("priority", [math.inf, math.nan])
def test_no_entry_may_claim_infinity(priority):
    with pytest.raises(ConfigError, match=r"code: plugins\[0\]\.priority: got (inf|nan), expected a number"):
        gateway(Entry(KeyAuth(), priority=priority))


def test_an_entry_may_move_it():
    journal = []
    function = PreFunction(access=[lambda x: journal.append("pre")])
    get([Entry(function, priority=1), noting("other", journal, "access", priority=2)])
    assert journal == ["other.access", "pre"]
