"""Kong's own keys, and what is wrong with them."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.servers.settings import ServerConfig, from_kong_conf, words
from plugmw.errors import ConfigErrors
from plugmw.schema import build

DOCUMENT = """
# the document's example
pluginserver_names = my-plugin,other-one
pluginserver_my_plugin_socket = /usr/local/kong/my-plugin.socket
pluginserver_my_plugin_start_cmd = /usr/local/bin/my-plugin
pluginserver_my_plugin_query_cmd = /usr/local/bin/my-plugin -dump
pluginserver_other_one_socket = /usr/local/kong/other-one.socket
pluginserver_other_one_start_cmd = /usr/local/bin/other-one   # comment
pluginserver_other_one_query_cmd = /usr/local/bin/other-one -dump
database = off
"""


def test_reads_the_documents_example():
    first, second = from_kong_conf(DOCUMENT)
    assert (first.name, first.socket) == ("my-plugin", "/usr/local/kong/my-plugin.socket")
    assert words(second.start_cmd) == ["/usr/local/bin/other-one"]
    assert words(second.query_cmd) == ["/usr/local/bin/other-one", "-dump"]


def test_settings_that_coincide_with_the_defaults_can_be_omitted(monkeypatch):
    monkeypatch.setattr("os.path.exists", lambda path: path == "/usr/local/bin/my-plugin")
    (found,) = from_kong_conf("pluginserver_names = my-plugin")
    assert found == from_kong_conf(DOCUMENT)[0]


def test_a_mapping_and_another_prefix():
    keys = {"pluginserver_names": ["A"], "prefix": "/srv/kong/", "pluginserver_a_query_cmd": "a -dump"}
    (found,) = from_kong_conf(keys)
    assert (found.name, found.socket, found.start_cmd) == ("a", "/srv/kong/a.socket", None)


def test_no_names_no_servers():
    assert from_kong_conf("pluginserver_names = off") == from_kong_conf("") == []


def test_all_that_is_wrong_is_told():
    with pytest.raises(ConfigErrors) as caught:
        from_kong_conf({"pluginserver_names": "a", "pluginserver_b_socket": "/x"})
    text = str(caught.value)
    assert "query_command undefined for pluginserver a" in text
    assert "pluginserver_b_socket: belongs to no name" in text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param({"name": "a b", "query_cmd": "x", "start_cmd": "x"}, "a name of letters", id="name"),
        pytest.param(
            {"name": "a", "query_cmd": "x 'y", "start_cmd": "x"}, "No closing quotation", id="quote"
        ),
        pytest.param({"name": "a", "start_cmd": "x"}, "query_cmd: undefined", id="no query"),
        pytest.param({"name": "a", "query_cmd": "x"}, "socket: missing", id="nobody starts it"),
        pytest.param(
            {"name": "a", "query_cmd": "x", "start_cmd": "x", "step_timeout": 0}, "above 0", id="timeout"
        ),
    ],
)
def test_refuses(data, text):
    with pytest.raises(ConfigErrors, match=text):
        build(ServerConfig, data, "here")
