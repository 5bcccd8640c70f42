"""A configuration and an app become one callable: routing, scopes, identity, one life per process."""

from __future__ import annotations

import inspect
import json

import pytest

import plugmw
from plugmw import ConfigError, Entry, Gateway, Plugin
from plugmw.errors import ConfigErrors
from plugmw.gateway import GatewayOptions
from plugmw.kernel.identity import Consumer
from plugmw.testing import gateway, get, hello_app
from plugmw.upstream.forwarding import request_headers
from plugmw.wsgi.answer import Exit
from tests.support.plugins import made, nothing, noting
from tests.support.wsgi import environ_of, serve

ROUTES = [
    {"name": "admin", "paths": ["/admin"], "service": "back"},
    {"name": "shop", "paths": ["/shop"]},
]


def noted(path="/", *plugins, environ=None, **config):
    config.setdefault("routes", ROUTES)
    return serve(Gateway(hello_app, config, plugins=plugins), environ or environ_of(path))


def test_it_is_found_in_the_package():
    assert plugmw.Gateway is Gateway
    with pytest.raises(AttributeError, match="module 'plugmw' has no attribute 'nothing'"):
        plugmw.nothing


def test_functions_that_pass_arguments_on_name_all_of_a_gateway():
    arguments = inspect.signature(Gateway).parameters.values()
    named = {each.name for each in arguments if each.kind is inspect.Parameter.KEYWORD_ONLY}
    assert GatewayOptions.__optional_keys__ == named


def test_an_app_must_be_callable():
    with pytest.raises(TypeError, match="app: got 5, expected a WSGI callable"):
        Gateway(5)


def test_a_bad_configuration_is_refused_at_once():
    with pytest.raises(ConfigError, match="storre: unknown field"):
        Gateway(hello_app, {"storre": 1})


def test_a_configuration_may_be_a_file_a_mapping_or_nothing(tmp_path):
    path = tmp_path / "gateway.json"
    path.write_text(json.dumps({"plugins": [{"name": "ip-restriction", "config": {"deny": ["127.0.0.1"]}}]}))
    assert serve(Gateway(hello_app, path)).status == "403 Forbidden"
    assert serve(Gateway(hello_app, str(path))).status == "403 Forbidden"
    assert serve(Gateway(hello_app)).body == b"hello"


def test_warnings_are_logged(caplog):
    Gateway(hello_app, {"routes": ROUTES}, plugins=[Entry(nothing("rewrite"), route="shop")])
    assert "runs in rewrite, before routing" in caplog.text


# -- scopes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "ran"),
    [
        ("/admin/x", ["admin", "back", "all"]),
        ("/shop", ["shop", "all"]),
        ("/other", ["all"]),
        ("/", ["all"]),
        ("/adm", ["all"]),
    ],
)
def test_each_route_has_its_own_chain(path, ran):
    notes: list[str] = []
    noted(
        path,
        Entry(noting("admin", notes, "access", priority=4), route="admin"),
        Entry(noting("back", notes, "access", priority=3), service="back"),
        Entry(noting("shop", notes, "access", priority=2), route="shop"),
        noting("all", notes, "access", priority=1),
    )
    assert notes == [f"{name}.access" for name in ran]


def test_a_request_of_no_route_may_be_answered_404_under_the_global_filters():
    notes: list[str] = []
    found = noted(
        "/other",
        noting("all", notes, "access", "header_filter", "log"),
        Entry(noting("shop", notes, "access", "log", priority=2), route="shop"),
        unrouted="404",
    )
    assert found.status == "404 Not Found"
    assert json.loads(found.body)["message"] == "no Route matched with those values"
    assert notes == ["all.header_filter", "all.log"]


@pytest.mark.parametrize("rewriting", [False, True])
@pytest.mark.parametrize(
    ("path", "status"),
    [("/admin", "200 OK"), ("/other", "404 Not Found"), ("/admin%2f..%2fx", "400 Bad Request")],
)
def test_routing_is_the_same_with_and_without_a_rewrite_phase(rewriting, path, status):
    plugins = [nothing("rewrite")] if rewriting else []
    assert noted(path, *plugins, unrouted="404").status == status


def test_rewrite_may_change_what_is_matched():
    notes: list[str] = []

    def rewrite(x):
        assert (x.phase, x.path) == ("rewrite", "/old")
        x.environ["PATH_INFO"] = "/admin"

    found = noted(
        "/old",
        made("r", rewrite=rewrite, access=lambda x: notes.append((x.phase, x.path, x.route.name))),
        Entry(noting("admin", notes, "access", priority=-1), route="admin"),
    )
    assert found.body == b"hello"
    assert notes == [("access", "/admin", "admin"), "admin.access"]


def test_headers_asked_for_in_rewrite_are_on_the_answer_of_the_route():
    found = noted(
        "/admin", made("r", rewrite=lambda x: x.add_header("X-R", "1")), Entry(nothing("log"), route="admin")
    )
    assert found.all("X-R") == ["1"]


def test_rewrite_alone_works_without_routes():
    notes: list[str] = []
    noted("/", noting("r", notes, "rewrite", "access", "log"), routes=[])
    assert notes == ["r.rewrite", "r.access", "r.log"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_what_stops_a_process_is_let_through_rewrite_too(error):
    def stop(x):
        raise error

    assert type(noted("/", made("r", rewrite=stop)).raised) is error


# -- paths an app could read in another way -----------------------------------------------------------------

AMBIGUOUS = [
    "/admin/../x", "/x/../admin", "//admin", "/%61dmin", "/admin%2f..%2fx", "/x\\..\\admin", "/x/..;/admin",
    "/;/admin", "/ad\tmin", "/admin;x/../../shop", "\\admin", "/shop/..%2fadmin", "/%2561dmin",
]  # fmt: skip
FINE = [
    "/admin//x", "/admin/./x", "/admin/a%20b", "/admin/a;b=c", "/shop/100%", "/x//y", "/x/../y",
    "/caf\xc3\xa9", "/x%2fy",
]  # fmt: skip


@pytest.mark.parametrize("path", AMBIGUOUS, ids=repr)
def test_a_path_that_could_be_one_of_another_route_is_refused(path):
    notes: list[str] = []
    found = noted(
        path, noting("all", notes, "access", "log"), Entry(noting("admin", notes, "access"), route="admin")
    )
    assert found.status == "400 Bad Request"
    assert notes == ["all.log"]


@pytest.mark.parametrize("path", FINE, ids=repr)
def test_an_odd_path_that_every_app_reads_under_the_same_route_is_fine(path):
    assert noted(path).body == b"hello"


def test_a_path_with_more_readings_than_anyone_looks_at_is_refused():
    assert noted("/%" + "25" * 500 + "41").status == "400 Bad Request"


def test_without_routes_no_path_is_ambiguous():
    assert noted("/x/../admin", nothing("rewrite"), routes=[]).body == b"hello"


JOINS = {
    ("", "/admin"): "admin",
    ("/admin", ""): "admin",
    ("/admin", "/x"): "admin",
    ("/", "/admin"): "admin",
    ("/x", "/admin"): None,
}


@pytest.mark.parametrize(("parts", "route"), JOINS.items(), ids=list(map(str, JOINS)))
def test_routes_see_script_name_and_path_together(parts, route):
    seen = []
    environ = environ_of(parts[1], SCRIPT_NAME=parts[0])
    noted("", made("p", access=lambda x: seen.append(x.route and x.route.name)), environ=environ)
    assert seen == [route]


def test_the_app_gets_the_path_as_it_was_sent():
    saw: list = []
    environ = environ_of("/admin//x", SCRIPT_NAME="/", **{"plugmw.testing.saw": saw})
    noted("", nothing("access"), environ=environ)
    assert (saw[0]["SCRIPT_NAME"], saw[0]["PATH_INFO"]) == ("/", "/admin//x")


# -- identity ---------------------------------------------------------------------------------------------

SPOOFED = dict.fromkeys(
    (
        "X-Consumer-ID",
        "X-Consumer-Custom-ID",
        "X-Consumer-Username",
        "X-Consumer-Groups",
        "X-Credential-Identifier",
        "X-Anonymous-Consumer",
        "X-Authenticated-Groups",
        "X-Authenticated-Scope",
        "X-Authenticated-Userid",
    ),
    "root",
)


def saw_by_app(plugins, headers):
    saw: list = []
    get(plugins, headers=headers, environ={"plugmw.testing.saw": saw})
    return {
        key for key in saw[0] if key.startswith(("HTTP_X_CON", "HTTP_X_CRED", "HTTP_X_ANON", "HTTP_X_AUTH"))
    }


@pytest.mark.parametrize("name", SPOOFED)
def test_a_clients_own_identity_headers_never_reach_an_app_behind_an_authenticating_plugin(name):
    plugin = made("auth", access=lambda x: None, authenticates=True)
    assert saw_by_app(plugin, {name: SPOOFED[name]}) == set()
    assert saw_by_app(plugin, SPOOFED) == set()


def test_they_are_gone_before_any_plugin_looks():
    seen = []
    auth = made("auth", access=lambda x: None, authenticates=True)
    first = made("first", 9, rewrite=lambda x: seen.append(x.get_header("X-Consumer-Username")))
    get([auth, first], headers=SPOOFED)
    assert seen == [None]


@pytest.mark.parametrize("plugins", [[], nothing("access"), nothing("log")], ids=["none", "access", "log"])
def test_without_authentication_they_never_reach_an_app_either(plugins):
    assert saw_by_app(plugins, SPOOFED) == set()


def test_they_are_kept_for_somebody_in_front_if_that_is_configured():
    saw: list = []
    kept = {"store": "memory://", "identity_headers": "keep"}
    for app in (Gateway(hello_app, kept), Gateway(hello_app, kept, plugins=[nothing("access")])):
        serve(app, environ_of(HTTP_X_CONSUMER_USERNAME="root", **{"plugmw.testing.saw": saw}))
    assert [environ["HTTP_X_CONSUMER_USERNAME"] for environ in saw] == ["root", "root"]


def test_where_somebody_authenticates_they_are_removed_whatever_is_configured():
    saw: list = []
    auth = made("auth", access=lambda x: None, authenticates=True)
    app = Gateway(hello_app, {"store": "memory://", "identity_headers": "keep"}, plugins=[auth])
    serve(app, environ_of(HTTP_X_CONSUMER_USERNAME="root", **{"plugmw.testing.saw": saw}))
    assert "HTTP_X_CONSUMER_USERNAME" not in saw[0]


def test_a_gateway_inside_leaves_those_of_the_gateway_outside():
    saw: list = []
    auth = made(
        "auth", access=lambda x: x.authenticate(Consumer(id="1", username="jo"), None), authenticates=True
    )
    inside = Gateway(hello_app, plugins=[nothing("access")])
    serve(
        Gateway(inside, plugins=[auth]),
        environ_of(
            HTTP_X_CONSUMER_USERNAME="root", HTTP_X_CONSUMER_GROUPS="a", **{"plugmw.testing.saw": saw}
        ),
    )
    assert saw[0]["HTTP_X_CONSUMER_USERNAME"] == "jo"
    assert "HTTP_X_CONSUMER_GROUPS" not in saw[0]


def test_a_spoofed_consumer_gets_nobody_elses_configuration():
    notes: list[str] = []
    get(
        [
            made("auth", 2, access=lambda x: None, authenticates=True),
            Entry(noting("p", notes, "access"), consumer="root"),
        ],
        {"consumers": [{"username": "root"}]},
        headers=SPOOFED,
    )
    assert notes == []


# -- the rest ---------------------------------------------------------------------------------------------


def test_trusted_proxies_tell_every_plugin_the_same_client():
    seen = []
    plugin = made(access=lambda x: seen.append((str(x.client_ip), x.scheme, x.host)))
    headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example"}
    local = {"REMOTE_ADDR": "127.0.0.1"}
    get(plugin, {"trusted": ["127.0.0.0/8"]}, headers=headers, environ=local)
    get(plugin, headers=headers, environ=local)
    get(
        plugin, {"trusted": 1, "real_ip_header": "X-Real-IP"}, headers={"X-Real-IP": "4.3.2.1"}, environ=local
    )
    assert seen == [
        ("1.2.3.4", "https", "shop.example"),
        ("127.0.0.1", "http", "localhost"),
        ("4.3.2.1", "http", "localhost"),
    ]


def test_an_injected_logger_goes_to_the_plugins_and_the_app():
    class App:
        logger = None

        def register_logger(self, logger):
            self.logger = logger

        def __call__(self, environ, start_response):
            return hello_app(environ, start_response)

    app, plugin, logger = App(), nothing("access"), object()
    gateway = Gateway(app, plugins=[plugin])
    gateway.register_logger(logger)
    assert (app.logger, plugin.logger, gateway.runtime.logger) == (logger, logger, logger)


def test_an_exit_of_a_plugin_never_leaves_the_gateway():
    for phase in ("rewrite", "access", "response", "header_filter"):
        assert not isinstance(noted("/admin", made(**{phase: lambda x: x.exit(403)})).raised, Exit), phase


SECURE = [{"name": "secure", "paths": ["/s"], "protocols": ["https"]}]


@pytest.mark.parametrize("rewriting", [False, True])
def test_a_route_for_https_refuses_http_under_the_global_entries(rewriting):
    notes: list[str] = []
    plugins = [
        noting("all", notes, "header_filter", "log", *(["rewrite"] if rewriting else [])),
        Entry(noting("own", notes, "access", "log"), route="secure"),
    ]
    gateway = Gateway(hello_app, {"routes": SECURE}, plugins=plugins)
    assert serve(gateway, environ_of("/s")).status == "426 Upgrade Required"
    assert "own.access" not in notes
    assert notes[-1] == "all.log"
    assert serve(gateway, environ_of("/s", **{"wsgi.url_scheme": "https"})).body == b"hello"


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"QUERY_STRING": "a=1"}, "https://shop.example/s/x?a=1"),
        ({"RAW_URI": "/s/%78?a"}, "https://shop.example/s/%78?a"),
        ({"RAW_URI": "http://evil.example/s/x?a"}, "https://shop.example/s/x?a"),
        ({"HTTP_HOST": "[::1]:80"}, "https://[::1]/s/x"),
        ({"PATH_INFO": "/s/\r\nX-A: \xe9"}, "https://shop.example/s/%0D%0AX-A:%20%E9"),
        ({"RAW_URI": "s/x"}, "https://shop.example/s/x"),
    ],
    ids=["query", "raw", "absolute", "IPv6", "a path with a line break", "no slash"],
)
def test_or_sends_it_to_https_at_the_same_host(environ, place):
    routes = [{**SECURE[0], "https_redirect_status_code": 308}]
    environ = {"HTTP_HOST": "shop.example:80", **environ}
    found = serve(Gateway(hello_app, {"routes": routes}), environ_of("/s/x", **environ))
    assert (found.status, found.header("Location")) == ("308 Permanent Redirect", place)


def test_a_host_that_would_split_the_redirect_is_refused():
    routes = [{**SECURE[0], "https_redirect_status_code": 308}]
    environ = environ_of("/s", HTTP_HOST="a\r\nX-A: b")
    assert serve(Gateway(hello_app, {"routes": routes}), environ).status == "400 Bad Request"


@pytest.mark.parametrize("unrouted", ["pass", "404"])
def test_a_method_that_frameworks_take_for_one_of_a_route_is_refused(unrouted):
    routes = [{"name": "r", "paths": ["/a"], "methods": ["POST"]}]
    gateway = Gateway(hello_app, {"routes": routes, "unrouted": unrouted})
    for method, status in (("post", 400), ("Post", 400), ("get", 200 if unrouted == "pass" else 404)):
        assert serve(gateway, environ_of("/a", method)).status.startswith(str(status)), method


@pytest.mark.parametrize("forwards", [True, False])
def test_what_connection_names_is_noted_for_plugins_that_forward(forwards):
    seen = []
    gateway = Gateway(
        hello_app,
        {"store": "memory://"},
        plugins=[
            made("sets", 2, access=lambda x: x.set_request_header("X-Mine", "ours")),
            made("sends", 1, access=lambda x: seen.append(request_headers(x.environ)), forwards=forwards),
        ],
    )
    serve(gateway, environ_of(HTTP_CONNECTION="X-Mine", HTTP_X_MINE="theirs"))
    assert (("X-Mine", "ours") in seen[0]) is forwards


def test_a_gateway_can_be_tried_like_a_plugin():
    assert get(Gateway(hello_app, {"store": "memory://"})).text == "hello"


def test_identity_headers_nobody_sent_cost_nothing():
    assert saw_by_app(made("auth", access=lambda x: None, authenticates=True), {}) == set()


# -- mounted twice ----------------------------------------------------------------------------------------

KEYED = {
    "store": "memory://",
    "consumers": [{"username": "jo", "keyauth_credentials": [{"key": "k"}]}],
    "plugins": [{"name": "key-auth", "config": {"hide_credentials": True}}],
}


class Middleware:
    """Keep the app where most do."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


@pytest.mark.parametrize(
    "between",
    [lambda app: app, Middleware, lambda app: Middleware(app).__call__],
    ids=["itself", "a middleware", "a method"],
)
@pytest.mark.parametrize("named", ["file", "mapping"])
def test_an_app_in_a_gateway_of_the_same_configuration_is_refused(tmp_path, between, named):
    file = tmp_path / "gateway.json"
    file.write_text(json.dumps(KEYED), encoding="utf-8")
    config = str(file) if named == "file" else KEYED
    once = between(Gateway(hello_app, config))
    name = str(file) if named == "file" else "the same mapping"
    with pytest.raises(ConfigErrors) as caught:
        Gateway(once, config)
    expected = "expected an app that is in no gateway of it"
    assert str(caught.value) == f"app: got one that is in a gateway of {name} already, {expected}"
    assert serve(once, environ_of(HTTP_APIKEY="k")).status == "200 OK"


def test_gateways_whose_plugins_are_given_in_code_stand_in_each_other():
    inside = Gateway(hello_app, {"store": "memory://"}, plugins=[nothing("access")])
    assert serve(Gateway(inside, {"store": "memory://"}, plugins=[nothing("log")])).status == "200 OK"


def test_gateways_of_two_configurations_stand_in_each_other():
    inside = Gateway(hello_app, {"store": "memory://", "plugins": [{"name": "cors"}]})
    app = Gateway(Middleware(inside), KEYED)
    assert get(app, headers={"apikey": "k"}).status_code == 200
    assert get(Gateway(Gateway(hello_app))).status_code == 200


# -- REMOTE_USER ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "key", "expected"),
    [
        (False, "k1", "of the server"),
        ("username", "k1", "j\xc3\xb6"),
        ("custom_id", "k1", "c-1"),
        ("id", "k1", "1"),
        ("custom_id", "k2", None),
        ("username", None, None),
    ],
    ids=["off", "username", "custom id", "id", "without that name", "anonymous"],
)
def test_remote_user_is_what_was_asked_for_and_nobody_elses(setting, key, expected):
    seen = []

    def app(environ, start_response):
        seen.append(environ.get("REMOTE_USER"))
        start_response("200 OK", [])
        return []

    consumers = [
        {"id": "1", "username": "j\xf6", "custom_id": "c-1", "keyauth_credentials": [{"key": "k1"}]},
        {"id": "2", "username": "al", "keyauth_credentials": [{"key": "k2"}]},
    ]
    entry = {"name": "key-auth", "config": {"anonymous": "al"}}
    config = {"remote_user": setting, "consumers": consumers, "plugins": [entry]}
    serve(Gateway(app, config), environ_of("/", REMOTE_USER="of the server", HTTP_APIKEY=key or ""))
    assert seen == [expected]


def test_without_authentication_a_remote_user_that_is_asked_for_is_nobody():
    seen = []

    def app(environ, start_response):
        seen.append("REMOTE_USER" in environ)
        start_response("200 OK", [])
        return []

    serve(Gateway(app, {"remote_user": "id"}), environ_of("/", REMOTE_USER="of the server"))
    assert seen == [False]


def test_a_condition_that_exits_while_another_exit_is_answered_does_not_reach_the_server():
    class Refusing(Plugin):
        name, priority = "refusing", 10

        def access(self, x):
            x.exit(403, "no")

    class Below(Plugin):
        name, priority = "below", 1

        def header_filter(self, x):
            x.set_header("X-Below", "1")

    below = Entry(Below(), when=lambda x: x.exit(500, "late"))
    answer = get(gateway(Refusing(), below))
    assert (answer.status_code, answer.text, "X-Below" in answer.headers) == (403, "no", False)
