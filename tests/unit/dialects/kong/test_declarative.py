"""``kong.yml``: what is carried over, what is refused, and where it says so."""

from __future__ import annotations

import json

import pytest

from plugmw.configuration.plan import read_plan
from plugmw.dialects.kong import declarative
from plugmw.documents import Document
from plugmw.documents.document import Origin
from plugmw.errors import ConfigErrors
from plugmw.gateway import Gateway
from plugmw.testing import get, hello_app
from tests.support.openssl import self_signed

ID = "5f1b2a3c-0000-4000-8000-000000000001"


def file(**content):
    return {"_format_version": "3.0", **content}


def plan(**content):
    return read_plan(file(**content))


def problems(**content):
    """Return the errors of a file, one line each."""
    with pytest.raises(ConfigErrors) as caught:
        plan(**content)
    return str(caught.value).splitlines()


def serving(content, **request):
    """Answer a request through the file with an app that tells what it saw."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        keys = ("SCRIPT_NAME", "PATH_INFO", "HTTP_X_CONSUMER_USERNAME", "HTTP_KONG_REQUEST_ID")
        return [json.dumps({key: environ.get(key) for key in keys}).encode()]

    return get(Gateway(app, {**content}), **request)


TERMINATE = {"name": "request-termination", "config": {"status_code": 418}}


# -- the file --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.1", "2.1", "3.0", 3.0])
def test_every_format_is_read(version):
    assert read_plan({"_format_version": version}).settings.unrouted == "404"


@pytest.mark.parametrize(("compat", "setting"), [(None, "remove"), ("kong", "keep")])
def test_identity_headers_of_a_client_reach_an_app_as_in_kong_only_in_compat(compat, setting):
    app = Gateway(hello_app, file(), dialect="kong", compat=compat)
    assert app.plan.settings.identity_headers == setting


def test_another_format_is_refused():
    with pytest.raises(ConfigErrors, match=r"_format_version: got '4\.0', expected one of"):
        read_plan({"_format_version": "4.0"})


@pytest.mark.parametrize("name", ["kong.yml", "kong.json"])
def test_yaml_and_json_files_are_read_and_errors_name_them(name, tmp_path):
    content = file(plugins=[{"name": "cors", "config": {"max_age": "x"}}])
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ConfigErrors) as caught:
        Gateway(hello_app, str(tmp_path / name))
    assert str(caught.value).endswith(f"{name}: plugins[0].config.max_age: got 'x', expected a number")


def test_a_native_file_is_not_taken_for_one():
    assert not declarative.is_kong({"plugins": []})
    assert not declarative.is_kong([])


# -- services and routes ---------------------------------------------------------------------------------


def test_services_have_their_url_whole_or_in_parts():
    found = plan(
        services=[
            {"name": "a", "url": "http://h:1/p"},
            {"name": "b", "host": "h"},
            {"name": "c", "host": "h", "protocol": "https", "path": "/p", "tags": ["t"], "id": ID},
            {"name": "d", "host": "h", "port": 81, "enabled": False, "retries": 1, "tls_verify": False},
            {"name": "e", "connect_timeout": 1500, "read_timeout": 1, "write_timeout": 2, "host": None},
        ]
    ).services
    assert [found[name].url for name in "abcde"] == [
        *("http://h:1/p", "http://h:80", "https://h:443/p", "http://h:81", None)
    ]
    assert (found["c"].tags, found["c"].id) == (["t"], ID)
    assert (found["d"].enabled, found["d"].retries, found["d"].verify) == (False, 1, False)
    assert (found["e"].connect_timeout, found["e"].read_timeout, found["e"].write_timeout) == (
        1.5,
        0.001,
        0.002,
    )


@pytest.mark.parametrize("form", ["nested", "by name", "by id", "by object"])
def test_routes_are_nested_or_refer_to_their_service(form):
    route = {"name": "r", "paths": ["/a"]}
    service = {"name": "s", "id": ID}
    if form == "nested":
        found = plan(services=[{**service, "routes": [route]}])
    else:
        reference = {"by name": "s", "by id": ID, "by object": {"id": ID}}[form]
        found = plan(routes=[{**route, "service": reference}], services=[service])
    assert [(r.name, r.service) for r in found.routes] == [("r", "s")]


def test_what_has_no_name_goes_by_its_id_or_its_place():
    found = plan(services=[{"id": ID, "routes": [{"paths": ["/a"]}, {"id": "7", "paths": ["/b"]}]}])
    assert list(found.services) == [ID]
    assert [route.name for route in found.routes] == ["services[0].routes[0]", "7"]


def test_a_route_carries_its_fields_over():
    (route,) = plan(
        routes=[
            {
                "name": "r",
                "hosts": ["a.example"],
                "methods": ["GET"],
                "headers": {"X-A": ["1"]},
                "regex_priority": 5,
                "strip_path": False,
                "preserve_host": True,
                "protocols": ["https"],
                "https_redirect_status_code": 301,
                "tags": ["t"],
                "path_handling": "v0",
                "request_buffering": True,
                "created_at": 1,
            }
        ]
    ).routes
    assert (route.hosts, route.methods, route.headers) == (["a.example"], ["GET"], {"X-A": ["1"]})
    assert (route.regex_priority, route.strip_path, route.preserve_host) == (5, False, True)
    assert (route.protocols, route.https_redirect_status_code, route.tags) == (["https"], 301, ["t"])


def test_paths_are_stripped_unless_the_route_says_otherwise():
    routes = [{"paths": ["/a"]}, {"name": "kept", "paths": ["/b"], "strip_path": False}]
    content = file(services=[{"name": "s", "routes": routes}])
    assert serving(content, path="/a/x").json["PATH_INFO"] == "/x"
    assert serving(content, path="/a/x").json["SCRIPT_NAME"] == "/a"
    assert serving(content, path="/a").json["PATH_INFO"] == "/"
    assert serving(content, path="/b/x").json["PATH_INFO"] == "/b/x"


@pytest.mark.parametrize(
    ("version", "path", "native"),
    [
        ("3.0", "/a", "/a"),
        ("3.0", r"~/a/(?<id>\d+)", r"~/a/(?P<id>\d+)"),
        ("3.0", r"~/a(?<!b)", r"~/a(?<!b)"),
        ("2.1", r"/a/\d+", r"~/a/\d+"),
        ("1.1", r"/a/(?<id>\d+)", r"~/a/(?P<id>\d+)"),
        ("1.1", "/a-b_c.d~e/%20", "/a-b_c.d~e/%20"),
    ],
)
def test_regular_expressions_are_told_as_the_format_has_it(version, path, native):
    found = read_plan({"_format_version": version, "routes": [{"name": "r", "paths": [path]}]})
    assert found.routes[0].paths == [native]


def test_the_longer_path_and_the_higher_regex_priority_win():
    routes = [
        {"name": "short", "paths": ["/a"]},
        {"name": "long", "paths": ["/a/b"]},
        {"name": "low", "paths": ["~/r/.*"], "regex_priority": 1},
        {"name": "high", "paths": ["~/r/x.*"], "regex_priority": 2},
    ]
    plugins = [
        {**TERMINATE, "route": route["name"], "config": {"message": route["name"]}} for route in routes
    ]
    content = file(routes=routes, plugins=plugins)
    for path, name in (("/a/b/c", "long"), ("/a/c", "short"), ("/r/xy", "high"), ("/r/y", "low")):
        assert serving(content, path=path).json["message"] == name


@pytest.mark.parametrize(("status", "place"), [(426, None), (301, "https://localhost/a?b")])
def test_an_https_route_sends_http_away(status, place):
    route = {"name": "r", "paths": ["/a"], "protocols": ["https"], "https_redirect_status_code": status}
    target = {"RAW_URI": "/a?b", "REQUEST_URI": "/a?b"}
    answer = serving(file(routes=[route]), path="/a", environ=target)
    assert (answer.status_code, answer.headers.get("Location")) == (status, place)
    assert serving(file(routes=[route]), path="/a", environ={"wsgi.url_scheme": "https"}).status_code == 200


def test_what_matches_no_route_is_kongs_404_and_a_service_that_is_off_503():
    content = file(services=[{"name": "s", "enabled": False, "routes": [{"paths": ["/a"]}]}])
    answer = serving(content, path="/x")
    assert (answer.status_code, answer.json["message"]) == (404, "no Route matched with those values")
    assert serving(content, path="/a").json["message"] == "no Service found with those values"


# -- consumers and plugins -------------------------------------------------------------------------------

KEYED = {"name": "key-auth"}


@pytest.mark.parametrize("form", ["nested", "by name", "by id", "by object"])
def test_credentials_are_nested_or_refer_to_their_consumer(form):
    key = {"key": "k1", "id": "c", "created_at": 1, "updated_at": 2, "tags": None}
    alice = {"username": "alice", "id": ID, "created_at": 1}
    if form == "nested":
        content = {"consumers": [{**alice, "keyauth_credentials": [key]}]}
    else:
        reference = {"by name": "alice", "by id": ID, "by object": {"username": "alice"}}[form]
        content = {"consumers": [alice], "keyauth_credentials": [{**key, "consumer": reference}]}
    answer = serving(file(plugins=[KEYED], **content), headers={"apikey": "k1"})
    assert answer.json["HTTP_X_CONSUMER_USERNAME"] == "alice"
    assert serving(file(plugins=[KEYED], **content)).status_code == 401


@pytest.mark.parametrize("scope", ["service", "route", "consumer"])
@pytest.mark.parametrize("form", ["nested", "by name", "by object"])
def test_plugins_are_nested_or_refer_to_what_they_belong_to(scope, form):
    owners = {
        "service": {"name": "s", "routes": [{"name": "r", "paths": ["/a"]}]},
        "route": {"name": "r2", "paths": ["/b"]},
        "consumer": {"username": "alice"},
    }
    name = {"service": "s", "route": "r2", "consumer": "alice"}[scope]
    content = {f"{kind}s": [dict(owner)] for kind, owner in owners.items()}
    if form == "nested":
        content[f"{scope}s"][0]["plugins"] = [TERMINATE]
    else:
        reference = name if form == "by name" else {"username" if scope == "consumer" else "name": name}
        content["plugins"] = [{**TERMINATE, scope: reference}]
    (entry,) = plan(**content).entries
    assert getattr(entry, scope) == name
    assert sum(value is not None for value in entry.scope) == 1


def test_a_plugin_may_belong_to_several():
    content = {
        "services": [{"name": "s", "plugins": [{**TERMINATE, "consumer": "alice"}]}],
        "consumers": [{"username": "alice"}],
    }
    assert plan(**content).entries[0].scope == (None, "s", "alice")


def test_a_plugin_carries_its_fields_over():
    (entry,) = plan(
        plugins=[
            {
                **TERMINATE,
                "enabled": False,
                "tags": ["t"],
                "instance_name": "mine",
                "protocols": ["http", "grpc"],
                "ordering": {"before": {"access": ["cors"]}, "after": {"access": []}},
                "id": ID,
                "created_at": 1,
                "service": None,
            },
            {"name": "cors"},
        ]
    ).entries[:1]
    assert (entry.enabled, entry.before, entry.instance) == (False, ("cors",), None)


def test_an_instance_name_is_a_label_and_does_not_make_a_second_run():
    content = file(
        routes=[{"name": "r", "paths": ["/"]}],
        plugins=[
            {**TERMINATE, "instance_name": "one"},
            {**TERMINATE, "instance_name": "two", "route": "r", "config": {"status_code": 410}},
        ],
    )
    assert serving(content, path="/a").status_code == 410


def test_nulls_of_a_dump_are_what_is_not_set():
    content = file(plugins=[{"name": "cors", "config": {"max_age": None, "origins": None}}], services=None)
    assert serving(content).status_code == 200


def test_kongs_default_stands_where_ours_is_another():
    content = file(plugins=[{"name": "correlation-id"}])
    assert serving(content).json["HTTP_KONG_REQUEST_ID"]
    own = file(plugins=[{"name": "correlation-id", "config": {"header_name": "X-Mine"}}])
    assert serving(own).json["HTTP_KONG_REQUEST_ID"] is None


# -- vaults and certificates -----------------------------------------------------------------------------


def test_references_to_the_environment_are_resolved_and_stay_hidden(monkeypatch):
    monkeypatch.setenv("MY_KEY", "k-secret")
    monkeypatch.setenv("MY_AGE", "not-an-age")
    consumers = [{"username": "alice", "keyauth_credentials": [{"key": "{vault://env/my-key}"}]}]
    answer = serving(file(consumers=consumers, plugins=[KEYED]), headers={"apikey": "k-secret"})
    assert answer.json["HTTP_X_CONSUMER_USERNAME"] == "alice"
    (text,) = problems(plugins=[{"name": "cors", "config": {"max_age": "{vault://env/my-age}"}}])
    assert text == "plugins[0].config.max_age: got a value from ${MY_AGE}, expected a number"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("{vault://aws/x}", "no vault for '{vault://aws/x}', expected {vault://env/name}"),
        ("{vault://env/a/b}", "no vault for '{vault://env/a/b}', expected {vault://env/name}"),
        (
            "{vault://env/not-there-at-all}",
            "$NOT_THERE_AT_ALL is not set, expected a variable of the environment",
        ),
    ],
)
def test_other_references_are_errors_with_their_place(reference, text):
    assert problems(plugins=[{**TERMINATE, "config": {"message": reference}}]) == [
        f"plugins[0].config.message: {text}"
    ]


def test_certificates_and_names_become_the_gateways(tmp_path):
    self_signed(tmp_path, "cert.pem", "key.pem", "a")
    pair = {name: (tmp_path / f"{name}.pem").read_text() for name in ("cert", "key")}
    found = plan(
        certificates=[
            {"id": ID, **pair, "snis": [{"name": "a.example", "id": "1"}], "tags": ["t"]},
            {**pair, "cert_alt": "x"},
        ],
        snis=[{"name": "*.b.example", "certificate": {"id": ID}}],
    )
    assert [item.snis for item in found.settings.certificates] == [["a.example", "*.b.example"], []]
    assert found.settings.certificates[0].cert == pair["cert"]
    assert [str(warning) for warning in found.warnings] == [
        "certificates[1].cert_alt: is left out: one certificate for a name"
    ]


# -- what cannot be carried over -------------------------------------------------------------------------

ROUTE = {"name": "r", "paths": ["/a"]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"upstreams": []}, "upstreams: load balancing has no counterpart, expected a host and port in each"),
        ({"targets": []}, "targets: load balancing has no counterpart"),
        ({"consumer_groups": []}, "consumer_groups: consumer groups have no counterpart, expected consumers"),
        ({"keys": []}, 'keys: unknown field "keys", expected one of services, routes, consumers'),
        ({"services": {}}, "services: got dict, expected a list"),
        ({"services": [5]}, "services[0]: got 5, expected a mapping"),
        ({"services": [{"name": "s", "routes": {}}]}, "services[0].routes: got dict, expected a list"),
        (
            {"services": [{"name": "s", "x": 1}]},
            'services[0].x: unknown field "x", expected a field of a Kong',
        ),
        (
            {"services": [{"name": "s", "host": "h", "protocol": "grpc"}]},
            "services[0].protocol: got 'grpc', expected http or https",
        ),
        (
            {"services": [{"name": "s", "url": "x"}]},
            "services[0].url: got 'x', expected an http or https URL",
        ),
        (
            {"services": [{"name": "s", "host": "a b:c"}]},
            "services[0].host: got 'http://a b:c:80', expected an",
        ),
        ({"services": [{"name": "s", "tls_verify": 5}]}, "services[0].tls_verify: got 5, expected a boolean"),
        (
            {"services": [{"name": "s", "read_timeout": "1"}]},
            "services[0].read_timeout: got '1', expected a number of milliseconds",
        ),
        (
            {"services": [{"name": "s", "read_timeout": True}]},
            "services[0].read_timeout: got True, expected a number of milliseconds",
        ),
        (
            {"services": [{"name": "s"}, {"name": "s"}]},
            "services[1].name: got 's', which services[0].name has already, expected a unique name",
        ),
        (
            {"services": [{"name": "s", "routes": [{**ROUTE, "id": ID}]}], "routes": [{"id": ID}]},
            "routes[0].id: got '5f1b2a3c-0000-4000-8000-000000000001', which services[0].routes[0].id has",
        ),
        (
            {"services": [{"name": "s", "routes": [ROUTE]}], "routes": [ROUTE]},
            "routes[0].name: got 'r', which services[0].routes[0].name has already, expected a unique name",
        ),
        (
            {"services": [{"id": ID, "name": "a"}, {"id": ID, "name": "b", "x": 1}]},
            'services[1].x: unknown field "x"',
        ),
        (
            {"plugins": [{"name": "cors", "id": ID}, {"name": "acl", "id": ID}]},
            "plugins[1].id: got '5f1b2a3c-0000-4000-8000-000000000001', which plugins[0].id has already, "
            "expected a unique id",
        ),
        (
            {
                "consumers": [
                    {"username": "a", "keyauth_credentials": [{"key": "k", "id": ID}]},
                    {"username": "b", "keyauth_credentials": [{"key": "l", "id": ID}]},
                ]
            },
            "consumers[1].keyauth_credentials[0].id: got '5f1b2a3c-0000-4000-8000-000000000001', which "
            "consumers[0].keyauth_credentials[0].id has already",
        ),
        ({"consumers": [{"username": "a"}, {"username": "a"}]}, "consumers[1].username: got 'a', which"),
        (
            {"consumers": [{"username": "a", "keyauth_credentials": "secret"}]},
            "consumers[0].keyauth_credentials: got str, expected a list",
        ),
        ({"routes": [{**ROUTE, "snis": ["a"]}]}, "routes[0].snis: cannot be matched here, expected hosts"),
        ({"routes": [{**ROUTE, "expression": "x"}]}, "routes[0].expression: cannot be matched here"),
        ({"routes": [{**ROUTE, "paths": ["a"]}]}, "routes[0].paths[0]: got 'a', expected a path that starts"),
        ({"routes": [{**ROUTE, "paths": "a"}]}, "routes[0].paths: got 'a', expected a list of strings"),
        ({"routes": [{**ROUTE, "paths": [5]}]}, "routes[0].paths[0]: got 5, expected a string"),
        ({"routes": [{**ROUTE, "protocols": ["tcp"]}]}, "routes[0].protocols[0]: got 'tcp', expected one of"),
        (
            {"routes": [{**ROUTE, "service": "x"}]},
            "routes[0].service: no service 'x', expected the name or id",
        ),
        ({"routes": [{**ROUTE, "x": 1}]}, 'routes[0].x: unknown field "x", expected a field of a Kong route'),
        (
            {"services": [{"name": "s", "routes": [{**ROUTE, "service": "s"}]}]},
            "services[0].routes[0].service: given, but the route is nested under a service already",
        ),
        ({"consumers": [{"username": "a", "x": 1}]}, 'consumers[0].x: unknown field "x"'),
        (
            {"consumers": [{"username": "a", "keyauth_credentials": [{"key": 5}]}]},
            "consumers[0].keyauth_credentials[0].key: got a secret value, expected a string",
        ),
        (
            {"consumers": [{"username": "a"}], "keyauth_credentials": [{"key": 5, "consumer": "a"}]},
            "keyauth_credentials[0].key: got a secret value, expected a string",
        ),
        (
            {"consumers": [{"custom_id": "a"}], "keyauth_credentials": [{"key": "k", "consumer": "b"}]},
            "keyauth_credentials[0].consumer: no consumer 'b', expected the name or id of a consumer in this",
        ),
        ({"plugins": [{}]}, "plugins[0].name: missing, expected the name of a plugin"),
        ({"plugins": [{"name": ["cors"]}]}, "plugins[0].name: got ['cors'], expected a string"),
        ({"plugins": [{"name": "corss"}]}, 'plugins[0].name: no plugin "corss"; did you mean "cors"?'),
        (
            {"plugins": [{"name": "cors", "x": 1}]},
            'plugins[0].x: unknown field "x", expected a field of a Kong',
        ),
        ({"plugins": [{"name": "cors", "config": 5}]}, "plugins[0].config: got 5, expected a mapping"),
        (
            {"plugins": [{"name": "correlation-id", "config": 5}]},
            "plugins[0].config: got 5, expected a mapping",
        ),
        (
            {"plugins": [{"name": "cors", "protocols": ["tcp"]}]},
            "plugins[0].protocols: got ['tcp'], expected http",
        ),
        (
            {"plugins": [{"name": "cors", "protocols": "http"}]},
            "plugins[0].protocols: got 'http', expected http",
        ),
        (
            {"plugins": [{"name": "cors", "ordering": 5}]},
            "plugins[0].ordering: got 5, expected before or after",
        ),
        (
            {"plugins": [{"name": "cors", "condition": "x"}]},
            "plugins[0].condition: is in Kong's own language",
        ),
        (
            {"plugins": [{"name": "cors", "consumer_group": "x"}]},
            "plugins[0].consumer_group: consumer groups",
        ),
        (
            {"plugins": [{"name": "cors", "route": "x"}]},
            "plugins[0].route: no route 'x', expected the name or",
        ),
        (
            {"plugins": [{"name": "cors", "instance_name": "a"}, {"name": "acl", "instance_name": "a"}]},
            "plugins[1].instance_name: got 'a', which plugins[0].instance_name has already",
        ),
        (
            {"services": [{"name": "s", "plugins": [{"name": "cors", "service": "s"}]}]},
            "services[0].plugins[0].service: given, but the plugin is nested under a service already",
        ),
        (
            {
                "services": [
                    {"name": "s", "routes": [{**ROUTE, "plugins": [{"name": "cors", "config": {"x": 1}}]}]}
                ]
            },
            'services[0].routes[0].plugins[0].config.x: unknown field "x"',
        ),
        ({"certificates": [{"cert": "x", "key": "y", "z": 1}]}, 'certificates[0].z: unknown field "z"'),
        ({"certificates": [{"key": "y"}]}, "certificates[0].cert: got None, expected a string"),
        (
            {"certificates": [{"cert": "x", "key": "y"}]},
            "certificates[0].cert: cannot be loaded with its key",
        ),
        (
            {"certificates": [{"cert": "x", "key": "y", "passphrase": "p"}]},
            "certificates[0].passphrase: keys with a passphrase cannot be read",
        ),
        ({"snis": [{"name": "a", "certificate": "x"}]}, "snis[0].certificate: no certificate 'x'"),
        (
            {"certificates": [{"cert": "x", "key": "y", "snis": [{"name": "a"}, {"name": "a", "x": 1}]}]},
            "certificates[0].snis[1].name: got 'a', which certificates[0].snis[0].name has already",
        ),
        (
            {"certificates": [{"cert": "x", "key": "y", "snis": [{"name": "a", "x": 1}]}]},
            'certificates[0].snis[0].x: unknown field "x", expected a field of a Kong sni',
        ),
        (
            {"certificates": [{"cert": "x", "key": "y", "snis": [{"name": "a b"}]}]},
            "certificates[0].snis[0].name: got 'a b', expected a host name",
        ),
    ],
)
def test_an_error_names_its_place_in_the_file(content, text):
    assert any(line.startswith(text) for line in problems(**content)), problems(**content)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"_transform": False}, "_transform: is left out: credentials are always read as they are written"),
        ({"_workspace": "x"}, "_workspace: is left out: there are no workspaces"),
        ({"vaults": []}, "vaults: is left out: only references to the environment"),
        ({"ca_certificates": []}, "ca_certificates: is left out: the CA of a service is its ca_file"),
        ({"routes": [{**ROUTE, "path_handling": "v1"}]}, "routes[0].path_handling: is left out: bodies are"),
        (
            {"services": [{"name": "s", "client_certificate": {"id": "x"}}]},
            "services[0].client_certificate: is left out: a gateway file has ca_file",
        ),
    ],
)
def test_a_warning_names_its_place_in_the_file(content, text, caplog):
    assert [str(warning)[: len(text)] for warning in plan(**content).warnings] == [text]
    Gateway(hello_app, file(**content))
    assert text in caplog.text


def test_comments_are_left_alone():
    assert plan(_comment="x", _info={"select_tags": []}, _ignore=[]).warnings == []


def test_comments_and_what_is_set_aside_are_left_alone_in_every_entity():
    aside = {"_comment": "x", "_ignore": [{"y": 1}]}
    route = {**ROUTE, **aside, "plugins": [{**TERMINATE, **aside}]}
    credential = {"key": "k", **aside}
    found = plan(
        services=[{"name": "s", "routes": [route], **aside}],
        consumers=[{"username": "a", "keyauth_credentials": [credential], **aside}],
        acls=[{"consumer": "a", "group": "g", **aside}],
    )
    assert found.warnings == []
    assert [entry.route for entry in found.entries] == ["r"]


def test_services_and_routes_without_a_name_may_hold_others():
    plugin = {"name": "request-termination", "config": {"status_code": 418}}
    nested = {"paths": ["/b"], "plugins": [plugin]}
    content = file(
        services=[
            {"url": "http://127.0.0.1:9/", "routes": [{"paths": ["/a"]}, nested]},
            {"url": "http://127.0.0.1:9/", "routes": [{"paths": ["/c"]}], "plugins": [plugin]},
        ]
    )
    assert serving(content, path="/b").status_code == 418
    assert serving(content, path="/c").status_code == 418
    assert serving(content, path="/a").status_code == 502


def test_a_reference_is_an_id_before_it_is_a_name():
    services = [{"name": "a", "id": "b"}, {"name": "b", "id": "a"}]
    found = plan(
        services=services,
        routes=[
            {"name": "text", "paths": ["/1"], "service": "a"},
            {"name": "by id", "paths": ["/2"], "service": {"id": "a"}},
            {"name": "by name", "paths": ["/3"], "service": {"name": "a"}},
        ],
    )
    assert {route.name: route.service for route in found.routes} == {
        "text": "b",
        "by id": "b",
        "by name": "a",
    }


def test_names_that_the_gateway_gives_are_free():
    found = plan(services=[{"name": "services[1]"}, {"id": "services[1]", "routes": [ROUTE]}, {"id": "x"}])
    assert list(found.services) == ["services[1]", "services[1] #2", "x"]
    assert [route.service for route in found.routes] == ["services[1] #2"]


def test_all_errors_are_told_at_once():
    assert len(problems(upstreams=[], services=[5], plugins=[{}, {"name": "cors", "config": {"x": 1}}])) == 4


def test_texts_of_the_environment_are_found_through_the_translation():
    document = Document(file(services=[{"name": "s", "id": 7}]), "kong.yml")
    document.put(("services", 0, "id"), 7, Origin("kong.yml", text="007"))
    translated = declarative.translate(document)
    assert translated.text(("services", 0, "id")) == "007"
    assert translated.origin("services[0].id").text == "007"
    assert translated.foreign("nowhere[0]") == ("nowhere", 0)
    assert read_plan(document).services["s"].id == "007"
