"""Classic API definitions as a gateway."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import read_plan
from plugmw.dialects.tyk.definition import load_definitions, translate
from plugmw.documents.translated import Options
from plugmw.errors import ConfigErrors
from plugmw.inspection import description
from tests.unit.dialects.tyk.conftest import headers_seen, write


def hello(environ, start_response):
    body = f"{environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def definition(**fields):
    proxy = {"listen_path": "/api/", **fields.pop("proxy", {})}
    return {"name": "api", "use_keyless": True, "proxy": proxy, **fields}


def problems(source, **options):
    """Return the messages of a definition that is refused."""
    with pytest.raises(ConfigErrors) as raised:
        Gateway.from_tyk(hello, source, **options)
    return [str(error) for error in raised.value.errors]


def warnings(source, **options):
    return [str(warning) for warning in Gateway.from_tyk(hello, source, **options).plan.warnings]


# -- sources -------------------------------------------------------------------------------------------


def test_several_definitions_are_served_side_by_side(tmp_path):
    one = write(tmp_path / "one.json", definition(proxy={"listen_path": "/one/"}))
    folder = tmp_path / "apps"
    write(folder / "two.json", definition(name="two", proxy={"listen_path": "/two/"}))
    write(folder / "three.json", definition(name="three", proxy={"listen_path": "/three/"}))
    write(folder / "three-oas.json", {"openapi": "3.0.3"})
    gateway = Gateway.from_tyk(
        hello, [str(one), folder, definition(name="four", proxy={"listen_path": "/4/"})]
    )
    assert [route.name for route in gateway.plan.routes] == ["api", "three", "two", "four"]
    assert set(gateway.sources) == {str(one), str(folder / "two.json"), str(folder / "three.json")}
    assert str(folder) in gateway.files


@pytest.mark.parametrize("named", [True, False])
def test_a_file_is_recognised_by_its_content(tmp_path, named):
    path = write(tmp_path / "api.json", definition())
    gateway = Gateway.from_tyk(hello, str(path)) if named else Gateway(hello, str(path))
    assert [route.name for route in gateway.plan.routes] == ["api"]


def test_what_cannot_be_read_is_told_of_all_sources(tmp_path):
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    found = problems([str(tmp_path / "bad.json"), str(tmp_path / "none.json"), tmp_path / "empty", 5])
    assert [message.rpartition("/")[2] for message in found] == [
        "bad.json:1: not JSON at column 2: expecting property name enclosed in double quotes",
        "none.json: no such file",
        "empty: no API definition in it, expected files *.json",
        "got int, expected a path, a mapping or None",
    ]


def test_several_problems_of_a_source_are_all_told(tmp_path):
    (tmp_path / "a.json").write_text('{"a": NaN, "b": NaN}', encoding="utf-8")
    assert len(problems(tmp_path / "a.json")) == 2


def test_a_value_that_is_read_often_is_reported_once():
    assert problems(definition(use_keyless="yes")) == ["use_keyless: got 'yes', expected true or false"]


def test_messages_name_file_and_place(tmp_path):
    path = write(tmp_path / "b.json", definition(name=5))
    assert problems([definition(proxy={"listen_path": "/x/"}), str(path)]) == [
        f"{path}: name: got 5, expected a text"
    ]


def test_no_definition_is_an_error():
    assert problems([]) == ["no API definition, expected at least one"]


def test_an_oas_definition_is_an_error_that_says_what_to_write_instead():
    (found,) = problems({"openapi": "3.0.3", "x-tyk-api-gateway": {}})
    assert found == (
        "x-tyk-api-gateway: a Tyk OAS definition is not translated, expected a classic API definition (its "
        "proxy.listen_path is server.listenPath.value here, its proxy.target_url upstream.url, and its "
        "use_keyless true only where server.authentication is off), or a gateway file"
    )


@pytest.mark.parametrize("key", ["openapi", "swagger"])
def test_a_plain_openapi_document_is_an_error(key):
    found = problems({key: "3.0.3", "paths": {}})
    assert found == ["is an OpenAPI document without x-tyk-api-gateway, expected a classic API definition"]


def test_a_file_that_is_called_a_part_of_another_is_read_where_the_other_is_not_there(tmp_path):
    write(tmp_path / "lost-oas.json", {"openapi": "3.0.3", "x-tyk-api-gateway": {}})
    write(tmp_path / "one.json", definition())
    errors = translate(load_definitions(tmp_path), Options(has_app=True)).errors
    assert [str(error).partition(": ")[0] for error in errors] == [str(tmp_path / "lost-oas.json")]
    write(tmp_path / "lost.json", definition(proxy={"listen_path": "/lost/"}))
    assert len(load_definitions(tmp_path).documents) == 2
    write(tmp_path / "one-oas.json", definition(proxy={"listen_path": "/not-openapi/"}))
    assert len(load_definitions(tmp_path).documents) == 3


def test_places_and_texts_are_those_of_the_files():
    found = load_definitions([{"a": 1}, {"b": "${X}"}])
    assert found.origin("apis[0].a").source is None
    assert found.origin("other").source is None
    assert found.text("apis[1].b") is None
    assert found.text(()) is None
    assert str(found.error("apis[1].b", "bad")) == "b: bad"


def test_what_is_wrong_in_tyk_conf_is_told_with_its_file(tmp_path):
    conf = write(tmp_path / "tyk.conf", {"bundle_base_url": 5})
    path = write(tmp_path / "api.json", definition())
    assert problems(str(path)) == [f"{conf}: bundle_base_url: got 5, expected a text"]
    conf.write_text('{"a": NaN, "b": NaN}', encoding="utf-8")
    assert len(problems(str(path))) == 2


# -- routes and services -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "path", "expected"),
    [
        ({}, "/api/x", b" /api/x"),
        ({"strip_listen_path": True}, "/api/x", b"/api /x"),
        ({"listen_path": "/"}, "/x", b" /x"),
        ({"listen_path": "/{org}/api/", "strip_listen_path": True}, "/acme/api/x", b"/acme/api /x"),
        ({"listen_path": "/{id:[0-9]+}/", "strip_listen_path": True}, "/42/x", b"/42 /x"),
    ],
)
def test_without_target_url_the_wrapped_app_answers(proxy, path, expected):
    gateway = Gateway.from_tyk(hello, definition(proxy=proxy, plugmw={"unrouted": "404"}))
    answer = Client(gateway).get(path)
    assert (answer.status_code, answer.data) == (200, expected)


@pytest.mark.parametrize("path", ["/other", "/x/y/api/"])
def test_what_no_api_listens_on_the_app_answers_or_nobody(path):
    fields = definition(proxy={"listen_path": "/{org}/api/", "target_url": "http://127.0.0.1:9"})
    assert Client(Gateway.from_tyk(hello, fields)).get(path).status_code == 200
    assert Client(Gateway.from_tyk(None, fields)).get(path).status_code == 404


def test_an_upstream_gets_its_own_host_unless_the_clients_is_kept(serve):
    seen = headers_seen(serve().get("/api/x"))
    assert seen["Host"].startswith("127.0.0.1:")
    assert headers_seen(serve(proxy={"preserve_host_header": True}).get("/api/x"))["Host"] == "localhost"


@pytest.mark.parametrize(("disabled", "status"), [(False, 404), (True, 200)])
def test_a_domain_limits_an_api(disabled, status):
    fields = definition(domain="api.example", domain_disabled=disabled, plugmw={"unrouted": "404"})
    client = Client(Gateway.from_tyk(hello, fields))
    assert client.get("/api/", base_url="http://api.example").status_code == 200
    assert client.get("/api/").status_code == status


def test_an_inactive_api_is_not_there():
    gateway = Gateway.from_tyk(hello, definition(active=False, enable_jwt=True))
    assert (gateway.plan.routes, gateway.plan.entries) == ([], [])


def test_apis_of_one_name_are_told_apart():
    names = [definition(proxy={"listen_path": f"/{n}/"}) for n in "abc"]
    nameless = {"api_id": "id", "use_keyless": True, "proxy": {"listen_path": "/d/"}}
    gateway = Gateway.from_tyk(
        hello, [*names, nameless, {"use_keyless": True, "proxy": {"listen_path": "/e/"}}]
    )
    assert [route.name for route in gateway.plan.routes] == ["api", "api #2", "api #3", "id", "/e/"]


def test_an_upstreams_certificate_is_verified_unless_the_definition_says_otherwise():
    proxy = {"target_url": "https://127.0.0.1:9", "transport": {"ssl_insecure_skip_verify": True}}
    assert Gateway.from_tyk(None, definition(proxy=proxy)).plan.services["api"].verify is False
    del proxy["transport"]
    assert Gateway.from_tyk(None, definition(proxy=proxy)).plan.services["api"].verify is True


BAD = {
    "no listen_path": ({"proxy": {}}, "proxy.listen_path: missing, expected a path like /api/"),
    "relative": (
        definition(proxy={"listen_path": "api"}),
        "proxy.listen_path: got 'api', expected a path like /api/",
    ),
    "proxy": ({"proxy": 5}, "proxy: got 5, expected a mapping"),
    "url": (
        definition(proxy={"target_url": "ftp://x"}),
        "proxy.target_url: got 'ftp://x', expected an http or https URL",
    ),
    "keyless": (definition(use_keyless="yes"), "use_keyless: got 'yes', expected true or false"),
    "domain": (definition(domain="{x}.example"), "domain: got '{x}.example', expected a host name"),
    "networks": (
        definition(enable_ip_whitelisting=True, allowed_ips=["10.0.0.0/99"]),
        "allowed_ips[0]: got '10.0.0.0/99', expected an IP address or CIDR range",
    ),
    "internal": (definition(internal=True), "internal: has no counterpart"),
    "graphql": (definition(graphql={"enabled": True}), "graphql.enabled: has no counterpart"),
    "protocol": (definition(protocol="tcp"), "protocol: got 'tcp', expected http or https"),
    "hooks": (
        definition(custom_middleware={"pre": 5}),
        "custom_middleware.pre: got 5, expected a list of hooks",
    ),
    "hook": (
        definition(custom_middleware={"pre": ["x"]}),
        "custom_middleware.pre[0]: got 'x', expected a hook: name and path",
    ),
    "hook without name": (
        definition(custom_middleware={"post": [{"path": "x.so"}]}),
        "custom_middleware.post[0].name: got None, expected the name of a function",
    ),
    "auth_check": (
        definition(custom_middleware={"auth_check": {"path": "x.so"}}),
        "custom_middleware.auth_check.name: got None, expected the name of a function",
    ),
    "driver": (
        definition(custom_middleware={"driver": "otto", "pre": [{"name": "x"}]}),
        "custom_middleware.driver: got 'otto', expected goplugin or python",
    ),
    "unknown setting": (definition(plugmw={"nothing": 1}), 'plugmw.nothing: unknown field "nothing"'),
    "routes": (
        definition(plugmw={"routes": []}),
        "plugmw.routes: given, but an API is its own route and service",
    ),
    "plugins": (definition(plugmw={"plugins": 5}), "plugmw.plugins: got int, expected a list"),
    "plugin": (
        definition(plugmw={"plugins": [{"name": "cors"}, {"name": "none"}]}),
        'plugmw.plugins[1].name: no plugin "none"',
    ),
    "consumer": (
        definition(plugmw={"consumers": [{}]}),
        "plugmw.consumers[0]: at least one of username, custom_id must be given",
    ),
    "tyk_conf": (
        definition(plugmw={"tyk_conf": 5}),
        "plugmw.tyk_conf: got 5, expected a path or a mapping",
    ),
    "tyk_conf field": (
        definition(plugmw={"tyk_conf": {"coprocess_options": {"enable_coprocess": "x"}}}),
        "plugmw.tyk_conf.coprocess_options.enable_coprocess: got 'x', expected true or false",
    ),
    "tyk_conf path": (definition(plugmw={"tyk_conf": "none.conf"}), "none.conf: no such file"),
    "analytics": (definition(analytics_plugin=5), "analytics_plugin: got 5, expected a mapping"),
    "max_age": (
        definition(CORS={"enable": True, "max_age": "x"}),
        "CORS.max_age: got 'x', expected a number",
    ),
}


@pytest.mark.parametrize(("source", "expected"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_with_its_place(source, expected):
    assert expected in "\n".join(problems(source))


def test_a_missing_target_is_an_error_without_an_app():
    with pytest.raises(
        ConfigErrors, match=r"proxy\.target_url: missing, and there is no app, expected a URL"
    ):
        Gateway.from_tyk(None, definition())


def test_two_apis_cannot_listen_on_one_path(tmp_path):
    first = write(tmp_path / "a.json", definition())
    found = problems([str(first), definition(name="other")])
    assert found == [f"proxy.listen_path: got '/api/', which {first} has already, expected a path of its own"]
    hosts = [definition(domain="a.example"), definition(name="b", domain="b.example")]
    assert len(Gateway.from_tyk(hello, hosts).plan.routes) == 2


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("enable_jwt", "jwt"),
        ("use_openid", "jwt"),
        ("use_basic_auth", "basic-auth"),
        ("enable_signature_checking", "hmac-auth"),
        ("use_oauth2", "oauth2"),
        ("use_mutual_tls_auth", "certificates of clients"),
    ],
)
def test_authentication_that_is_not_done_here_is_an_error_unless_the_api_is_keyless(key, instead):
    (found,) = problems(definition(use_keyless=False, **{key: True}))
    assert found.startswith(f"{key}: has no counterpart, expected ")
    assert instead in found
    if key != "use_mutual_tls_auth":
        assert not warnings(definition(**{key: True}))


#: What decides who may pass, or where a request goes, of a keyless API too.
REFUSED = {
    "use_mutual_tls_auth": {"use_mutual_tls_auth": True},
    "is_oas": {"is_oas": True},
    "expiration": {"expiration": "2020-01-01 00:00"},
    "upstream_auth.enabled": {"upstream_auth": {"enabled": True, "basic_auth": {"enabled": True}}},
    "definition.enabled": {"definition": {"enabled": True, "versions": {"v2": "id2"}}},
    "proxy.transport.proxy_url": {"proxy": {"transport": {"proxy_url": "http://proxy"}}},
    "proxy.enable_load_balancing": {"proxy": {"enable_load_balancing": True, "target_list": ["http://a"]}},
    "Proxy.Enable_Load_Balancing": {"Proxy": {"Listen_Path": "/x/", "Enable_Load_Balancing": True}},
    "GraphQL.Enabled": {"GraphQL": {"Enabled": True}},
}


@pytest.mark.parametrize("place", REFUSED)
def test_what_decides_who_may_pass_or_where_a_request_goes_is_an_error(place):
    fields = definition(**REFUSED[place])
    if "Proxy" in fields:
        del fields["proxy"]
    (found,) = problems(fields)
    assert found.startswith(f"{place}: has no counterpart, expected ")


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"auth_configs": {"authToken": {"validate_signature": True}}}, "authToken.validate_signature"),
        ({"auth_configs": {"authToken": {"Use_Certificate": True}}}, "authToken.Use_Certificate"),
    ],
)
def test_other_checks_of_a_token_are_errors_unless_the_api_is_keyless(fields, place):
    (found,) = problems(definition(use_keyless=False, **fields))
    assert found.startswith(f"auth_configs.{place}: has no counterpart, expected ")
    assert not warnings(definition(**fields))


def test_tokens_that_another_program_knows_are_an_error():
    provider = {"auth_provider": {"name": "", "storage_engine": "ldap", "meta": {}}}
    (found,) = problems(definition(use_keyless=False, **provider))
    assert found.startswith("auth_provider.storage_engine: got 'ldap', expected tokens in plugmw.sessions")
    assert not warnings(definition(auth_provider={"name": "", "storage_engine": "", "meta": {}}))


def versioned(**version):
    return {"version_data": {"not_versioned": True, "versions": {"v1": version}}}


@pytest.mark.parametrize(
    ("version", "place"),
    [
        ({"paths": {"black_list": ["/x"]}}, "paths.black_list"),
        ({"paths": {"white_list": ["/x"], "ignored": []}}, "paths.white_list"),
        ({"global_size_limit": 5}, "global_size_limit"),
        ({"ignore_endpoint_case": True}, "ignore_endpoint_case"),
        (
            {"use_extended_paths": True, "extended_paths": {"url_rewrites": [{"path": "/"}]}},
            "extended_paths.url_rewrites",
        ),
        (
            {"Use_Extended_Paths": True, "Extended_Paths": {"Black_List": [{"path": "/"}]}},
            "Extended_Paths.Black_List",
        ),
    ],
)
def test_what_a_version_refuses_or_sends_elsewhere_is_an_error(version, place):
    (found,) = problems(definition(**versioned(**version)))
    assert found.startswith(f"version_data.versions.v1.{place}: has no counterpart, expected ")


@pytest.mark.parametrize(
    "version",
    [
        {"paths": {"black_list": ["/x"]}, "use_extended_paths": True},
        {"extended_paths": {"black_list": [{"path": "/x"}], "cache": ["/x"]}},
        {"global_size_limit": 5, "global_size_limit_disabled": True},
        {"global_headers": {"X-A": "1"}, "global_headers_disabled": True},
        {"expires": "2020-01-01 00:00", "override_target": "http://other"},
    ],
)
def test_what_is_off_in_a_version_is_left_alone(version):
    assert not warnings(definition(**versioned(**version)))


def test_a_version_that_requests_may_choose_ends_and_is_sent_elsewhere():
    fields = versioned(expires="2020-01-01 00:00", override_target="http://other")
    fields["version_data"]["not_versioned"] = False
    assert [message.partition(":")[0] for message in problems(definition(**fields))] == [
        "version_data.versions.v1.expires",
        "version_data.versions.v1.override_target",
    ]
    fields = versioned(expires="-1")
    fields["version_data"]["not_versioned"] = False
    assert not warnings(definition(**fields))


def test_what_decides_nothing_is_a_warning():
    fields = {"cache_options": {"enable_cache": True}, "global_rate_limit": {"rate": 5}, "unknown": {"a": 1}}
    assert warnings(definition(**fields)) == [
        "cache_options.enable_cache: is left out: answers are not cached",
        "global_rate_limit.rate: is left out: the plugin rate-limiting limits",
        "unknown: is left out: nothing here reads it",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"use_keyles": True}, 'use_keyles: is left out: nothing here reads it; did you mean "use_keyless"?'),
        ({"enable_context_vars": True}, "enable_context_vars: is left out: nothing here reads it"),
        ({"proxy": {"disable_strip_slash": True}}, "proxy.disable_strip_slash: is left out: nothing here"),
        (
            {"custom_middleware": {"traffic_logs": [{"name": "x"}]}},
            "custom_middleware.traffic_logs: is left out: analytics_plugin sees the records",
        ),
        (
            {"custom_middleware": {"pre": [{"name": "x", "disabled": True, "other": 1}]}},
            "custom_middleware.pre[0].other: is left out: nothing here reads it",
        ),
        (
            versioned(global_headers={"X-A": "1"}),
            "version_data.versions.v1.global_headers: is left out: the plugin request-transformer sets",
        ),
        (
            versioned(global_headers_remove=["X-A"]),
            "version_data.versions.v1.global_headers_remove: is left out: the plugin request-transformer",
        ),
    ],
)
def test_no_key_that_says_something_is_passed_over_in_silence(fields, expected):
    (found,) = warnings(definition(**fields))
    assert found.startswith(expected)


def test_keys_that_say_nothing_are_left_alone():
    zeros = {"a": 0, "b": "", "c": [], "d": {"e": False, "f": None}, "g": [{"disabled": True}]}
    off = {"cache_options": {"enable_cache": False, "cache_timeout": 60}, "x": {"disabled": True, "y": 1}}
    jwt = {"jwt_signing_method": "rsa", "jwt_source": "x", "id": "5", "slug": "s"}
    assert not warnings(definition(**zeros, **off, **jwt))


def test_of_several_versions_that_cannot_be_chosen_the_default_is_served():
    versions = {"v1": {"paths": {"black_list": ["/x"]}}, "Default": {"name": "Default"}}
    assert not warnings(definition(version_data={"versions": versions}))


# -- keys in any case ----------------------------------------------------------------------------------


def test_keys_are_read_in_any_case():
    fields = {
        "Name": "api",
        "USE_KEYLESS": True,
        "Proxy": {"Listen_Path": "/api/"},
        "Enable_IP_Whitelisting": True,
        "ALLOWED_IPS": ["10.0.0.0/8"],
        "Custom_Middleware": {"Pre": [{"Name": "x", "Disabled": True}]},
    }
    client = Client(Gateway.from_tyk(hello, fields))
    assert client.get("/api/", environ_base={"REMOTE_ADDR": "11.1.1.1"}).status_code == 403
    assert client.get("/api/", environ_base={"REMOTE_ADDR": "10.1.1.1"}).status_code == 200


def test_messages_name_keys_as_they_are_written(tmp_path):
    fields = {"Use_Keyless": True, "Proxy": {"Listen_Path": "x", "Target_URL": 5}}
    path = write(tmp_path / "b.json", fields)
    assert problems(str(path)) == [
        f"{path}: Proxy.Target_URL: got 5, expected a text",
        f"{path}: Proxy.Listen_Path: got 'x', expected a path like /api/",
    ]


def test_a_key_in_two_spellings_is_an_error():
    (found,) = problems(definition(Use_Keyless=False))
    assert found == "Use_Keyless: given beside 'use_keyless', expected only one of the two"


def test_names_that_are_data_are_left_as_they_are():
    made = definition(config_data={"Name": 1}, auth_configs={"AuthToken": {"auth_header_name": "X-A"}})
    (document,) = load_definitions(made).documents
    assert document.data["config_data"] == {"Name": 1}
    assert "AuthToken" in document.data["auth_configs"]


# -- what other plugins do -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "address", "status"),
    [
        ({"enable_ip_whitelisting": True, "allowed_ips": ["10.0.0.0/8"]}, "10.1.1.1", 200),
        ({"enable_ip_whitelisting": True, "allowed_ips": ["10.0.0.0/8"]}, "11.1.1.1", 403),
        ({"enable_ip_whitelisting": True}, "11.1.1.1", 200),
        ({"allowed_ips": ["10.0.0.0/8"]}, "11.1.1.1", 403),
        ({"allowed_ips": ["10.0.0.0/8"], "ip_access_control_disabled": True}, "11.1.1.1", 200),
        ({"blacklisted_ips": ["11.1.1.1"]}, "11.1.1.1", 403),
        ({"enable_ip_blacklisting": True, "blacklisted_ips": ["10.1.1.1"]}, "10.1.1.1", 403),
    ],
)
def test_lists_of_addresses_are_those_of_ip_restriction(fields, address, status):
    client = Client(Gateway.from_tyk(hello, definition(**fields)))
    assert client.get("/api/", environ_base={"REMOTE_ADDR": address}).status_code == status


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (["https://a.example"], "https://a.example", True),
        (["https://*.example"], "https://a.example", True),
        (["https://*.example"], "https://a.example.org", False),
        (["*"], "https://anything.org", True),
        ([], "https://anything.org", True),
        ([5], "", None),
    ],
)
def test_cors_is_that_of_the_plugin(origins, origin, allowed):
    fields = definition(
        CORS={
            "enable": True,
            "allowed_origins": origins,
            "allowed_methods": ["GET"],
            "allowed_headers": ["X-A"],
            "exposed_headers": ["X-B"],
            "max_age": 5,
        }
    )
    if allowed is None:
        assert "CORS" in problems(fields)[0]
        return
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    answer = Client(Gateway.from_tyk(hello, fields)).options("/api/", headers=headers)
    assert (answer.headers.get("Access-Control-Allow-Origin") in (origin, "*")) is allowed


def test_plugins_of_the_own_section_are_limited_to_the_api_and_ordered_among_the_hooks(serve, api):
    text = "def one(rw, r):\n    r.Header.Set('X-One', '1')\n"
    plugins = [
        {"name": "request-termination", "config": {"status_code": 418}, "before": ["pre:one"]},
        {"name": "correlation-id", "service": "my api"},
    ]
    made = api(text, pre=["one", "one"], post=["one"], response=["one"], plugmw={"plugins": plugins})
    gateway = Gateway.from_tyk(hello, made)
    (chain,) = description.show(gateway.plan, "my api")["chains"]
    assert [(slot["name"], slot["priority"]) for slot in chain["slots"]] == [
        ("request-termination", 2),
        ("pre:one", 1900),
        ("pre:one #2", 1899.9),
        ("post:one", 760),
        ("response:one", 700),
        ("correlation-id", 1),
    ]
    assert chain["slots"][1]["variants"][0]["where"].endswith("custom_middleware.pre[0]")
    assert Client(gateway).get("/api/x").status_code == 418
    assert Client(gateway).get("/other").status_code == 200


def test_settings_of_the_own_section_are_those_of_the_gateway():
    fields = {"store": "memory://", "max_request_body": 5}
    apis = [definition(proxy={"listen_path": f"/{n}/"}, plugmw=fields) for n in "ab"]
    assert Gateway.from_tyk(hello, apis).plan.settings.max_request_body == 5
    apis[1]["plugmw"] = {"max_request_body": 6}
    found = problems(apis)
    assert found == [
        "plugmw.max_request_body: is another value than at apis[0].plugmw.max_request_body,"
        " expected one value for all APIs"
    ]


# -- hooks ---------------------------------------------------------------------------------------------


def test_strict_refuses_hooks_that_cannot_be_loaded(api):
    fields = api("", pre=["none"], analytics_plugin={"enable": True, "plugin_path": "x.so", "func_name": "f"})
    found = problems(fields, strict=True)
    assert len(found) == 2
    assert found[0].startswith("custom_middleware.pre[0]: ")
    assert "symbol 'none' not found" in found[0]
    assert found[1].startswith("analytics_plugin: x.so: plugin file not found")


def test_strict_and_compat_may_be_said_in_the_definition(api):
    hooks = {"driver": "python", "pre": [{"name": "x"}]}
    off = {"tyk_conf": {"coprocess_options": {"enable_coprocess": False}}}
    assert len(warnings(definition(custom_middleware=hooks, plugmw={"compat": True, **off}))) == 1
    assert len(problems(api("", pre=["none"], plugmw={"strict": True}))) == 1


def test_disabled_hooks_are_left_out(api):
    hooks = [{"name": "x", "path": "none.so", "disabled": True}]
    assert Gateway.from_tyk(hello, api(custom_middleware={"pre": hooks}), strict=True).plan.entries == []


def test_an_auth_check_that_does_not_run_is_a_warning(api):
    made = api("def auth(rw, r): pass", auth_check="auth", use_keyless=False)
    assert warnings(made) == [
        "custom_middleware.auth_check: is not used: custom_plugin_auth_enabled is not set"
    ]


# -- python hooks and bundles --------------------------------------------------------------------------

PYTHON = """
from tyk.decorators import *

@Hook
def Pre(request, session, spec):
    request.add_header("x-py", spec["APIID"])
    return request, session
"""


def python(**fields):
    section = {"driver": "python", "pre": [{"name": "Pre", "path": "middleware.py"}]}
    return definition(api_id="id1", custom_middleware=section, **fields)


def test_hooks_of_the_python_driver_are_tyks_own(tmp_path, upstream):
    (tmp_path / "middleware.py").write_text(PYTHON, encoding="utf-8")
    target = f"http://127.0.0.1:{upstream.port}"
    path = write(tmp_path / "api.json", python(proxy={"target_url": target}))
    gateway = Gateway.from_tyk(None, str(path))
    assert [entry.name for entry in gateway.entries] == ["pre:Pre"]
    assert headers_seen(Client(gateway).get("/api/x"))["X-Py"] == "id1"


def test_python_hooks_are_not_skipped_in_silence_when_they_are_switched_off():
    off = {"tyk_conf": {"coprocess_options": {"enable_coprocess": False}}}
    (found,) = problems(python(plugmw=off))
    assert found.startswith(
        "custom_middleware: Python hooks, but coprocess_options.enable_coprocess is false"
    )
    assert "are left out" in warnings(python(plugmw=off), compat="tyk")[0]


def test_a_plan_is_read_without_starting_anything(tmp_path):
    path = write(tmp_path / "api.json", definition())
    plan = read_plan(str(path), Extras(dialect="tyk"))
    assert str(path) in plan.files
    translated = translate(load_definitions(str(path)), Options())
    assert json.dumps(translated.data)
