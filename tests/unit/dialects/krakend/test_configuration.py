"""``krakend.json``: what is accepted, what is refused and where, and that it runs."""

from __future__ import annotations

import json
import logging

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.configuration.plan import read_plan
from plugmw.dialects.krakend.configuration import translate
from plugmw.dialects.krakend.fields import seconds
from plugmw.dialects.krakend.linting import lint
from plugmw.dialects.krakend.model import Backend, Endpoint, Router
from plugmw.dialects.krakend.reading import weak
from plugmw.documents import Document, load
from plugmw.documents.translated import Options
from plugmw.errors import ConfigErrors
from plugmw.loading.watching import recording
from tests.unit.dialects.krakend import conftest as sources

#: The configuration of KrakenD's page on server plugins; a folder and a pattern go in.
DOCUMENT = """
{
  "version": 3,
  "plugin": {
    "pattern": "PATTERN",
    "folder": "FOLDER"
  },
  "endpoints": [
    {
      "endpoint": "/test/{id}",
      "backend": [
        {
          "host": [
            "http://localhost:8080"
          ],
          "url_pattern": "/__health"
        }
      ]
    }
  ],
  "extra_config": {
    "plugin/http-server": {
      "name": ["krakend-server-example"],
      "krakend-server-example": {
        "path": "/hijack-me"
      }
    }
  }
}
"""
#: Its plugin.
EXAMPLE = """
import html

class Registerer:
    def register_logger(self, logger):
        self.log = logger
        logger.debug("[PLUGIN: krakend-server-example] Logger loaded")

    def register_handlers(self, f):
        f("krakend-server-example", self.factory)

    def factory(self, context, extra, h):
        path = extra["krakend-server-example"]["path"]
        self.log.debug("The plugin is now hijacking the path", path)

        def handler(w, req):
            if req.url_path != path:
                h.serve_http(w, req)
                return
            w.write(f'Hello, "{html.escape(req.url_path)}"')

        return handler

HandlerRegisterer = Registerer()
"""
CLIENT = """
class Registerer:
    def register_clients(self, f):
        f("c", self.factory)

    def factory(self, context, extra):
        def handler(w, req):
            w.write('{"by": "client"}')
        return handler

ClientRegisterer = Registerer()
"""
MODIFIER = "plugin/req-resp-modifier"


@pytest.fixture
def log():
    """A logger with children; ``log.lines`` is what they were told."""
    handler = sources.Lines()
    logger = logging.getLogger("krakend-configuration")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers = [handler]
    logger.lines = handler.lines
    return logger


def backend(**content):
    return {"host": ["http://localhost:8080"], "url_pattern": "/x", **content}


def endpoint(*backends, **content):
    return {"endpoint": "/x", "backend": list(backends or [backend()]), **content}


def file(*endpoints, **content):
    return {"version": 3, "endpoints": list(endpoints), **content}


def translated(content, **options):
    return translate(Document(content), Options(**options))


def problems(content, **options):
    """Return the errors, one line each."""
    return [str(error) for error in translated(content, **options).errors]


def service(content, **options):
    """Return the service that was made of a good file."""
    made = translated(content, **{"strict": False, **options})
    assert made.errors == []
    return made.entries[0][1].plugin.service


def warnings(content, **options):
    made = translated(content, **options)
    assert made.errors == []
    return [str(warning) for warning in made.warnings]


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"path": environ["PATH_INFO"], "trace": environ.get("trace")}).encode()]


# -- the whole ------------------------------------------------------------------------------------------


def test_the_document_s_own_file_runs_with_another_folder_and_pattern(folder, log, tmp_path):
    folder("krakend-server-example.py", EXAMPLE)
    text = DOCUMENT.replace("PATTERN", ".py").replace("FOLDER", "./plugins/")
    (tmp_path / "krakend.json").write_text(text)
    client = Client(Gateway.from_krakend(None, "krakend.json", logger=log))
    hijacked = client.get("/hijack-me")
    assert (hijacked.status_code, hijacked.text) == (200, 'Hello, "/hijack-me"')
    assert "X-Krakend" not in hijacked.headers
    assert client.get("/__health").json["status"] == "ok"
    assert client.get("/nowhere").status_code == 404


def test_the_log_tells_what_the_document_says_in_its_order(folder, log, tmp_path):
    folder("krakend-server-example.py", EXAMPLE)
    text = DOCUMENT.replace("PATTERN", ".py").replace("FOLDER", "./plugins/")
    (tmp_path / "krakend.json").write_text(text)
    Client(Gateway.from_krakend(None, "krakend.json", logger=log)).get("/hijack-me")
    plugin = "plugin #0 (plugins/krakend-server-example.py): plugin: symbol"
    missing = "not found in plugin krakend-server-example"
    assert log.lines == [
        "DEBUG: [SERVICE: Plugin Loader] Starting loading process",
        f"DEBUG: [SERVICE: Executor Plugin] {plugin} ClientRegisterer {missing}",
        "DEBUG: [PLUGIN: krakend-server-example] Logger loaded",
        "INFO: [SERVICE: Handler Plugin] Total plugins loaded: 1",
        f"DEBUG: [SERVICE: Modifier Plugin] {plugin} ModifierRegisterer {missing}",
        "DEBUG: [SERVICE: Plugin Loader] Loading process completed",
        *[line for line in log.lines if "[ENDPOINT: " in line or "[BACKEND: " in line],
        "DEBUG: The plugin is now hijacking the path /hijack-me",
        "INFO: [PLUGIN: Server] Injecting plugin krakend-server-example",
    ]
    assert any("Building the proxy pipe" in line for line in log.lines)


def test_an_endpoint_asks_the_wrapped_app_as_its_backend():
    content = file(endpoint(backend(host=["app:"], url_pattern="/inner/{id}"), endpoint="/x/{id}"))
    answer = Client(Gateway.from_krakend(hello, content)).get("/x/7")
    assert (answer.status_code, answer.json["path"]) == (200, "/inner/7")


def test_what_is_no_endpoint_goes_to_the_app():
    assert Client(Gateway.from_krakend(hello, file(endpoint()))).get("/y").json["path"] == "/y"


def test_a_gateway_recognises_the_file_by_its_content():
    assert Client(Gateway(None, file())).get("/__health").json["status"] == "ok"


def test_server_plugins_see_every_request_the_last_name_first(folder):
    for name in ("a", "b"):
        folder(f"{name}.py", sources.HANDLER.format(name=name))
    content = file(
        endpoint(backend(host=["app:"])),
        plugin={"folder": "plugins"},
        extra_config={"plugin/http-server": {"name": ["a", "b"]}},
    )
    client = Client(Gateway.from_krakend(hello, content))
    assert client.get("/x").json["trace"] is None  # a call to a backend is a request of its own
    assert client.get("/other").json["trace"] == ["b", "a"]


def test_a_server_plugin_given_no_name_is_not_used(folder, log):
    folder("a.py", sources.HANDLER.format(name="a"))
    content = file(plugin={"folder": "plugins"}, extra_config={"plugin/http-server": {}})
    Client(Gateway.from_krakend(hello, content, logger=log, strict=False)).get("/")
    assert "DEBUG: [PLUGIN: Server] No plugins required in the extra config" in log.lines


def test_a_namespace_of_another_type_is_left_alone(folder, log):
    content = file(plugin={"folder": "plugins"}, extra_config={"plugin/http-server": ["a"]})
    Client(Gateway.from_krakend(hello, content, logger=log, strict=False)).get("/")
    assert "DEBUG: [PLUGIN: Server] Wrong extra_config type" in log.lines
    assert warnings(content, strict=False) == [
        "extra_config[\"plugin/http-server\"]: got ['a'], expected a mapping",
    ]


def test_a_client_plugin_answers_for_a_backend(folder):
    folder("c.py", CLIENT)
    content = file(
        endpoint(backend(extra_config={"plugin/http-client": {"name": "c"}})),
        plugin={"folder": "plugins", "pattern": ".py"},
    )
    assert Client(Gateway.from_krakend(None, content)).get("/x").json == {"by": "client"}


# -- what the original takes for a field of another type ------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "value", "taken"),
    [
        *((list[str], "http://x", ["http://x"]), (list[str], "a,b", "a,b"), (list[str], 5, 5)),
        *((int, True, 1), (int, "3", 3), (int, "-1", -1), (int, 3.0, 3), (int, 2.9, 2), (int, "03", "03")),
        *((int, "3x", "3x"), (int, 1e300, 1e300), (int, None, None), (int, [1], [1])),
        *((bool, "true", True), (bool, "f", False), (bool, 1, True), (bool, 0, False), (bool, "yes", "yes")),
        *((str, 5, "5"), (str, True, "1"), (str, "x", "x"), (str, ["x"], ["x"])),
    ],
)
def test_values_of_another_type_are_taken_as_the_original_takes_them(hint, value, taken):
    found = weak(hint, value)
    assert (found, type(found)) == (taken, type(taken))


def test_fields_of_another_type_are_read():
    content = file(
        endpoint(backend(host="http://x", is_collection="true"), concurrent_calls=True, input_headers="X-A"),
        version="3",
        port="8080",
        name=5,
    )
    one = service(content)
    assert (one.name, one.endpoints[0].concurrent_calls, one.endpoints[0].input_headers) == ("5", 1, ["x-a"])
    asked = one.endpoints[0].backend[0]
    assert (asked.host, asked.is_collection) == (["http://x"], True)
    assert warnings(content) == ["port: is left out: it belongs to the server that runs the app"]


def test_the_version_can_be_hidden():
    content = file(endpoint(), extra_config={"router": {"hide_version_header": True, "auto_options": True}})
    client = Client(Gateway.from_krakend(None, content))
    answers = [client.get("/none"), client.post("/x"), client.options("/x"), client.get("/x")]
    assert {answer.headers["X-Krakend"] for answer in answers} == {"Version undefined"}


# -- the file -------------------------------------------------------------------------------------------


def test_another_version_is_refused():
    assert problems({"version": 4, "endpoints": []}) == ["version: unsupported version: 4 (want: 3)"]


@pytest.mark.parametrize("version", [2, 1])
def test_a_file_of_version_2_is_told_the_way_out(version):
    assert problems({"version": version, "endpoints": []}) == [
        f"version: unsupported version: {version} (want: 3), expected version 3: krakend-config-migrator "
        "writes a file of version 2 anew"
    ]


def test_a_pattern_that_no_file_has_is_told(tmp_path):
    (tmp_path / "mine.py").write_text("")
    content = {"version": 3, "endpoints": [], "plugin": {"folder": str(tmp_path), "pattern": ".so"}}
    assert problems(content) == [
        "plugin.pattern: got '.so', which no file of the folder has, "
        'expected the text in the names of Python files, such as ".py"'
    ]


def test_a_compiled_plugin_is_told_as_one(tmp_path):
    (tmp_path / "mine.so").write_bytes(b"\x7fELF" + bytes(60))
    content = {"version": 3, "endpoints": [], "plugin": {"folder": str(tmp_path), "pattern": ".so"}}
    assert problems(content) == [
        f"plugin.folder: {tmp_path}/mine.so: is a compiled library and no module of Python's, as Go plugins "
        "are, expected a Python file in its place"
    ]


@pytest.mark.parametrize("version", ["3.0", "", [3], None])
def test_a_version_of_another_type_is_refused(version):
    content = {} if version is None else {"version": version}
    found = repr(version or 0)
    assert problems(content) == [f"version: unsupported version: {found} (want: 3)"]


@pytest.mark.parametrize("router", [5, True, "a"])
def test_a_router_that_is_no_mapping_is_refused(router):
    found = problems({"version": 3, "endpoints": [], "extra_config": {"router": router}})
    assert found == [f"extra_config.router: got {router!r}, expected a mapping"]


def test_yaml_and_toml_are_read_too(tmp_path):
    (tmp_path / "k.yaml").write_text("version: 3\nendpoints: []\n")
    (tmp_path / "k.toml").write_text("version = 3\nendpoints = []\n")
    for name in ("k.yaml", "k.toml"):
        assert read_plan(str(tmp_path / name)).entries[0].name == "krakend"


@pytest.mark.parametrize(
    ("text", "value"),
    [("2s", 2), ("300ms", 0.3), ("1h30m", 5400), ("1.5m", 90), ("0", 0), ("10us", 1e-5), ("1µs", 1e-6)],
)
def test_durations_are_go_s(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["2", "s", "2 s", "2s!", "-1s", "two", "٣s", 2, None])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError):
        seconds(text)


@pytest.mark.parametrize(
    "text", ["2562048h", "9" * 400 + "h", "9" * 100_000], ids=["64 bits", "infinite", "digits"]
)
def test_a_duration_beyond_what_go_counts_is_refused(text):
    with pytest.raises(ValueError):
        seconds(text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"timeout": 2}, 'timeout: got 2, expected a duration like "2s", "300ms" or "1h30m"'),
        ({"cache_ttl": "3 s"}, 'cache_ttl: got \'3 s\', expected a duration like "2s", "300ms" or "1h30m"'),
        ({"port": "x"}, "port: got 'x', expected an integer"),
        ({"host": "http://a,http://b"}, "host: got 'http://a,http://b', expected a list of strings"),
        ({"endpoints": {}}, None),
        ({"endpoints": {"a": 1}}, "endpoints: got {'a': 1}, expected a list"),
        ({"endpoints": [5]}, "endpoints[0]: got 5, expected a mapping"),
        (
            {"output_encoding": "jsno"},
            "output_encoding: got 'jsno', expected one of json, fast-json, json-collection, string, no-op, "
            'negotiate, xml, yaml; did you mean "json"?',
        ),
        ({"plugin": "x"}, "plugin: got 'x', expected a mapping"),
        ({"plugin": {"pattern": [], "folder": "x"}}, "plugin.pattern: got [], expected a string"),
        ({"debug_endpoint": "yes"}, "debug_endpoint: got 'yes', expected a boolean"),
        ({"extra_config": []}, "extra_config: got [], expected a mapping"),
        (
            {"extra_config": {"router": {"error_body": {"500": {}}}}},
            "extra_config.router.error_body.500: got '500', expected 404 or 405",
        ),
        (
            {"extra_config": {"router": {"error_body": {"x": {}}}}},
            "extra_config.router.error_body.x: got 'x', expected 404 or 405",
        ),
        (
            {"extra_config": {"router": {"health_path": "h"}}},
            "extra_config.router.health_path: got 'h', expected a path that starts with /",
        ),
        (
            {"extra_config": {"github_com/luraproject/lura/router/gin": {"disable_health": 1}}},
            'extra_config["github_com/luraproject/lura/router/gin"].disable_health: '
            "got 1, expected a boolean",
        ),
        (
            {"extra_config": {"plugmw": {"strickt": True}}},
            'extra_config.plugmw.strickt: unknown field "strickt"; did you mean "strict"?',
        ),
        ({"extra_config": {"router": "x"}}, "extra_config.router: got 'x', expected a mapping"),
        (
            {"extra_config": {"plugmw": {"strict": 1}}},
            "extra_config.plugmw.strict: got 1, expected a boolean",
        ),
    ],
)
def test_a_bad_field_of_the_root_is_named(content, problem):
    assert problems({**file(), **content}, strict=False) == ([problem] if problem else [])


# -- keys in any case --------------------------------------------------------------------------------


def test_fields_are_read_in_any_case():
    content = {
        "VERSION": 3,
        "Timeout": "5s",
        "Endpoints": [
            {
                "EndPoint": "/x",
                "Method": "post",
                "Backend": [{"Host": ["http://h"], "URL_Pattern": "/y", "DENY": ["password"]}],
            }
        ],
        "Extra_Config": {"router": {"Max_Payload": 5}},
    }
    made = service(content)
    assert (made.endpoints[0].method, made.endpoints[0].timeout, made.router.max_payload) == ("POST", 5.0, 5)
    (backend,) = made.endpoints[0].backend
    assert (backend.host, backend.url_pattern, backend.deny) == (["http://h"], "/y", ["password"])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            file(endpoint(Extra_Config={"auth/validator": {"alg": "RS256"}})),
            "endpoints[0].Extra_Config.auth/validator: has no counterpart",
        ),
        (file(endpoint(), EXTRA_CONFIG={"auth/": {}}), "EXTRA_CONFIG.auth/: has no counterpart"),
        (file(endpoint(backend(Deny={}))), "endpoints[0].backend[0].Deny: got {}, expected a list of"),
        (
            file(endpoint(), extra_config={"router": {"Health_Path": "x"}}),
            "extra_config.router.Health_Path: got 'x', expected a path that starts with /",
        ),
        (
            file(endpoint(backend(deny=["a"], Deny=["b"]))),
            "endpoints[0].backend[0].Deny: given beside 'deny', expected only one of the two",
        ),
    ],
)
def test_an_error_names_the_key_as_it_is_written(content, problem):
    found = [message.replace('["', ".").replace('"]', "") for message in problems(content)]
    assert any(message.startswith(problem) for message in found), found


def test_names_of_namespaces_are_exact():
    content = file(endpoint(), extra_config={"Router": {"max_payload": 5}, "Auth/Validator": {}})
    assert service(content).router.max_payload == 0


def test_a_field_in_another_case_is_no_unknown_one():
    (found,) = lint(Document({"Version": 3, "Endpoints": [{"EndPoint": "/x", "Nothing": 1}]}))
    assert str(found).startswith('Endpoints[0].Nothing: unknown field "Nothing"')


PLACE = "endpoints[0]"
ENDPOINTS = [
    ({"endpoint": None}, f"{PLACE}.endpoint: missing, expected a path such as /users/{{id}}"),
    ({"endpoint": "/a*"}, f"{PLACE}.endpoint: got '/a*', expected a * only as the last segment"),
    ({"endpoint": "/*/a"}, f"{PLACE}.endpoint: got '/*/a', expected a * only as the last segment"),
    (
        {"endpoint": "/__health"},
        f"{PLACE}.endpoint: got '/__health', expected a path other than /__debug, /__echo and /__health",
    ),
    (
        {"endpoint": "__debug/x"},
        f"{PLACE}.endpoint: got '__debug/x', expected a path other than /__debug, /__echo and /__health",
    ),
    (
        {"endpoint": "/a/b{c}"},
        f"{PLACE}.endpoint: got 'b{{c}}', expected parameters that are whole segments, like {{id}}",
    ),
    ({"backend": []}, f"{PLACE}.backend: has 0 backends defined, expected at least one"),
    ({"backend": None}, f"{PLACE}.backend: has 0 backends defined, expected at least one"),
    ({"backend": {}}, f"{PLACE}.backend: has 0 backends defined, expected at least one"),
    ({"backend": "x"}, f"{PLACE}.backend: got 'x', expected a list"),
    ({"backend": ["x"]}, f"{PLACE}.backend[0]: got 'x', expected a mapping"),
    (
        {"method": "GTE"},
        f"{PLACE}.method: got 'GTE', expected one of GET, POST, PUT, PATCH, DELETE; did you mean \"GET\"?",
    ),
    ({"method": "HEAD"}, f"{PLACE}.method: got 'HEAD', expected one of GET, POST, PUT, PATCH, DELETE"),
    ({"timeout": "x"}, f'{PLACE}.timeout: got \'x\', expected a duration like "2s", "300ms" or "1h30m"'),
    ({"input_headers": 5}, f"{PLACE}.input_headers: got 5, expected a list of strings"),
    ({"concurrent_calls": -1}, f"{PLACE}.concurrent_calls: got -1, expected a number of at least 0"),
    (
        {"output_encoding": "no-op", "backend": [backend(), backend()]},
        f"{PLACE}.output_encoding: can not use no-op with 2 backends, "
        "expected one backend, or another encoding",
    ),
]


@pytest.mark.parametrize(("content", "problem"), ENDPOINTS)
def test_a_bad_endpoint_is_named(content, problem):
    assert problem in problems(file(endpoint(**content)))


BACKEND = "endpoints[0].backend[0]"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"url_pattern": "/{id}"},
            f"{BACKEND}.url_pattern: undefined output param 'id', "
            "expected no parameters: the endpoint has none",
        ),
        (
            {"url_pattern": "/{JWT.sub}"},
            f"{BACKEND}.url_pattern: undefined output param 'JWT.sub', "
            "expected a parameter of the endpoint; others have no counterpart",
        ),
        (
            {"url_pattern": "/{resp0_id}"},
            f"{BACKEND}.url_pattern: undefined output param 'resp0_id', "
            "expected a parameter of the endpoint; others have no counterpart",
        ),
        ({"url_pattern": []}, f"{BACKEND}.url_pattern: got [], expected a string"),
        (
            {"host": None},
            f'{BACKEND}.host: missing, expected hosts here or at the root; "app:" is the wrapped app',
        ),
        (
            {"host": ["http://a/b"]},
            f"{BACKEND}.host[0]: invalid host 'http://a/b', "
            'expected a host such as "http://users:8080", without a path, or "app:"',
        ),
        (
            {"host": ["kafka://a"], "disable_host_sanitize": True},
            f"{BACKEND}.host[0]: invalid host 'kafka://a', "
            'expected a host such as "http://users:8080", without a path, or "app:"',
        ),
        (
            {"method": "PSOT"},
            f"{BACKEND}.method: got 'PSOT', expected one of GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS; "
            'did you mean "POST"?',
        ),
        (
            {"encoding": "jsn"},
            f"{BACKEND}.encoding: got 'jsn', expected one of json, safejson, fast-json, xml, rss, string, "
            'no-op, yaml; did you mean "json"?',
        ),
        ({"sd": "dns"}, f"{BACKEND}.sd: got 'dns': nothing is discovered here, expected static hosts"),
        ({"mapping": {"a": 1}}, f"{BACKEND}.mapping.a: got 1, expected a string"),
    ],
)
def test_a_bad_backend_is_named(content, problem):
    assert problems(file(endpoint(backend(**content)))) == [problem]


def test_a_misspelt_parameter_gets_a_suggestion():
    content = file(endpoint(backend(url_pattern="/{usre}"), endpoint="/{user}"))
    assert problems(content) == [
        f"{BACKEND}.url_pattern: undefined output param 'usre'; did you mean \"user\"?, expected one of user"
    ]


def test_the_app_is_no_host_where_there_is_none():
    content = file(endpoint(backend(host=["app:"])))
    assert problems(content, has_app=False) == [
        f"{BACKEND}.host[0]: got 'app:', but there is no app, expected a host"
    ]


@pytest.mark.parametrize("other", ["/x/{b}", "x/{b}"])
def test_a_second_endpoint_for_a_method_and_path_is_refused(other):
    content = file(endpoint(endpoint="/x/{a}"), endpoint(endpoint=other))
    assert problems(content) == ["endpoints[1].endpoint: GET /x/{b} is endpoints[0] already"]


def test_another_method_of_a_path_is_another_endpoint():
    assert len(service(file(endpoint(), endpoint(method="post"))).endpoints) == 2


def test_all_that_is_wrong_is_told_at_once_with_its_place(tmp_path):
    path = tmp_path / "krakend.json"
    good = backend(host=["http://a"])
    content = file(endpoint(good, {**good, "url_pattern": "/{id}"}), endpoint(method="GTE", endpoint="/y"))
    path.write_text(json.dumps({**content, "version": 2, "timeout": "x"}))
    with pytest.raises(ConfigErrors) as caught:
        read_plan(str(path))
    assert [str(error).removeprefix(f"{path}: ").split(":")[0] for error in caught.value.errors] == [
        "timeout",
        "version",
        "endpoints[0].backend[1].url_pattern",
        "endpoints[1].method",
    ]


# -- defaults -------------------------------------------------------------------------------------------


def test_defaults_are_krakend_s():
    found = service(file(endpoint()))
    assert found.endpoints == [
        Endpoint(
            endpoint="/x",
            backend=[
                Backend(
                    url_pattern="/x", host=["http://localhost:8080"], place=("endpoints", 0, "backend", 0)
                )
            ],
            place=("endpoints", 0),
        )
    ]
    assert (found.router, found.folder, found.pattern) == (Router(), None, "")


def test_the_root_s_values_are_the_endpoints_defaults():
    content = file(
        endpoint({"url_pattern": "y", "encoding": "XML"}, method="post", input_headers=["X-A"]),
        endpoint(backend(method="get"), endpoint="z", timeout="1s", cache_ttl="1m", output_encoding="string"),
        timeout="300ms",
        cache_ttl="5s",
        host=["a:80/", "https://b/"],
        output_encoding="fast-json",
        name="shop",
    )
    found = service(content)
    first, second = found.endpoints
    assert (found.name, first.timeout, first.cache_ttl, first.output_encoding) == ("shop", 0.3, 5, "json")
    assert (first.method, first.input_headers) == ("POST", ["x-a"])
    made = first.backend[0]
    assert (made.host, made.method, made.url_pattern) == (["http://a:80", "https://b"], "POST", "/y")
    assert made.encoding == "xml"
    assert (second.endpoint, second.timeout, second.cache_ttl) == ("/z", 1, 60)
    assert (second.output_encoding, second.backend[0].method) == ("string", "GET")


def test_no_op_of_an_endpoint_is_its_backend_s():
    found = service(file(endpoint(output_encoding="no-op")))
    assert found.endpoints[0].backend[0].encoding == "no-op"


def test_hosts_can_be_taken_as_they_are():
    content = file(endpoint(backend(host=["http://a/base/"], disable_host_sanitize=True)))
    assert service(content).endpoints[0].backend[0].host == ["http://a/base"]


def test_null_and_an_empty_text_are_not_given():
    content = file(endpoint(backend(group="", method=None), method="", timeout=None), plugin=None)
    assert service(content).endpoints[0].method == "GET"


def test_the_router_s_switches_are_read():
    router = {
        "return_error_msg": True,
        "error_body": {"404": {"a": 1}},
        "max_payload": 5,
        "auto_options": True,
    }
    found = service(file(extra_config={"router": router})).router
    assert found == Router(
        return_error_msg=True, error_body={404: {"a": 1}}, max_payload=5, auto_options=True
    )


@pytest.mark.slow
def test_the_router_s_trusted_proxies_are_the_gateway_s():
    content = file(extra_config={"router": {"trusted_proxies": ["10.0.0.0/8"]}})
    assert read_plan(content).settings.trusted == ["10.0.0.0/8"]
    content["extra_config"]["router"]["trusted_proxies"] = ["ten"]
    with pytest.raises(ConfigErrors, match=r"extra_config\.router\.trusted_proxies: 'ten'"):
        read_plan(content)


def test_switches_of_the_router_that_do_nothing_here_are_told():
    content = file(extra_config={"router": {"logger_skip_paths": ["/x"], "nothing": 1}})
    assert warnings(content) == [
        "extra_config.router.logger_skip_paths: is left out: it has no counterpart",
        "extra_config.router.nothing: is left out: it has no counterpart",
    ]


def test_unknown_fields_and_namespaces_are_kept_and_told():
    comments = {"@comment": 1, "$schema": "x", "_note": 1, "#": 1}
    content = file(endpoint(backend(zzz=1, **comments), zzz=1, extra_config={"my/own": 5}), zzz=1, **comments)
    assert service(content).endpoints[0].extra_config == {"my/own": 5}
    assert warnings(content) == [
        'zzz: unknown field "zzz"',
        'endpoints[0].zzz: unknown field "zzz"',
        'endpoints[0].extra_config["my/own"]: unknown namespace "my/own"',
        'endpoints[0].backend[0].zzz: unknown field "zzz"',
    ]


def test_what_belongs_to_the_server_is_told_in_any_case():
    content = file(port=8081, Listen_IP="127.0.0.1", dialer_timeout="2s", use_h2c=False)
    assert warnings(content) == [
        "Listen_IP: is left out: it belongs to the server that runs the app",
        "dialer_timeout: is left out: connections to backends are those of the gateway",
        "port: is left out: it belongs to the server that runs the app",
    ]


def test_what_a_namespace_has_and_nothing_reads_is_told():
    content = file(
        endpoint(backend(extra_config={"backend/http": {"return_error_cod": True, "@why": "a comment"}}))
    )
    assert warnings(content) == [
        'endpoints[0].backend[0].extra_config["backend/http"].return_error_cod: is left out: it has no '
        'counterpart; did you mean "return_error_code"?'
    ]


# -- namespaces -----------------------------------------------------------------------------------------

NAMES = [
    ("plugin/http-server", "github_com/devopsfaith/krakend/transport/http/server/handler", "service"),
    ("plugin/http-client", "github.com/devopsfaith/krakend/transport/http/client/executor", "backend"),
    (MODIFIER, "github.com/devopsfaith/krakend/proxy/plugin", "endpoint"),
    (MODIFIER, "github.com/devopsfaith/krakend/proxy/plugin", "backend"),
    ("backend/http", "github.com/devopsfaith/krakend/http", "backend"),
]


def at(level, extra_config):
    """Put an ``extra_config`` at a level of a file; return the file and a way to find it again."""
    here = {"extra_config": extra_config}
    places = {"service": {}, "endpoint": {}, "backend": {}, level: here}
    content = file(endpoint(backend(**places["backend"]), **places["endpoint"]), **places["service"])
    found = service(content)
    holders = {"service": found, "endpoint": found.endpoints[0], "backend": found.endpoints[0].backend[0]}
    return holders[level].extra_config


@pytest.mark.parametrize(("alias", "long", "level"), NAMES)
def test_alias_and_long_name_mean_the_same_and_the_alias_wins(alias, long, level):
    assert at(level, {alias: {"name": "a"}}) == {alias: {"name": "a"}}
    assert at(level, {long: {"name": "a"}}) == {alias: {"name": "a"}}
    assert at(level, {alias: {"name": "a"}, long: {"name": "b"}}) == {alias: {"name": "a"}}
    assert at(level, {long: {"name": "b"}, alias: {"name": "a"}}) == {alias: {"name": "a"}}


@pytest.mark.parametrize(
    ("level", "namespace"),
    [
        ("service", "security/cors"),
        ("service", "security/http"),
        ("service", "github_com/devopsfaith/krakend-botdetector"),
        ("endpoint", "auth/validator"),
        ("endpoint", "github.com/devopsfaith/krakend-jose/validator"),
        ("endpoint", "auth/api-keys"),
        ("endpoint", "qos/ratelimit/router"),
        ("endpoint", "validation/cel"),
        ("backend", "qos/ratelimit/proxy"),
        ("backend", "backend/lambda"),
        ("backend", "modifier/martian"),
        ("backend", "plugin/middleware"),
    ],
)
def test_what_decides_who_may_pass_is_an_error(level, namespace):
    places = {"service": {}, "endpoint": {}, "backend": {}, level: {"extra_config": {namespace: {}}}}
    content = file(endpoint(backend(**places["backend"]), **places["endpoint"]), **places["service"])
    prefix = {"service": "", "endpoint": "endpoints[0].", "backend": "endpoints[0].backend[0]."}[level]
    (problem,) = problems(content)
    start = f'{prefix}extra_config["{namespace}"]: has no counterpart, expected instead, given in code: '
    assert problem.startswith(start)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"extra_config": {"telemetry/logging": {}}},
            'extra_config["telemetry/logging"]: is left out: it has no ',
        ),
        (
            {"extra_config": {"qos/circuit-breaker": {}}},
            'extra_config["qos/circuit-breaker"]: is left out: it has',
        ),
        ({"tls": {"public_key": "a"}}, "tls: is left out: TLS belongs to the server"),
        ({"client_tls": {"ca_certs": []}}, "client_tls: is left out: backends are verified"),
        ({"allow_insecure_connections": True}, "allow_insecure_connections: is left out: certificates"),
        ({"async_agent": [{}]}, "async_agent: is left out: there are no consumers of queues"),
        (
            {"extra_config": {MODIFIER: {"name": ["a"]}}},
            f'extra_config["{MODIFIER}"]: is ignored at the root, expected it at an endpoint or a backend',
        ),
        ({"extra_config": {"proxy": {"combiner": "x"}}}, "extra_config.proxy.combiner: is left out"),
    ],
)
def test_what_else_is_not_carried_over_is_a_warning(content, problem):
    (warning,) = warnings(file(**content))
    assert warning.startswith(problem)


def test_a_plugin_s_namespace_at_an_endpoint_is_ignored_if_it_belongs_elsewhere():
    content = file(endpoint(extra_config={"plugin/http-server": {"name": "a"}}))
    place = 'endpoints[0].extra_config["plugin/http-server"]'
    assert warnings(content) == [f"{place}: is ignored at an endpoint, expected it at the root"]


@pytest.mark.parametrize("key", ["enable_mtls", "ca_certs", "Enable_MTLS"])
def test_certificates_of_clients_are_an_error(key):
    (problem,) = problems(file(tls={key: True}))
    assert problem.startswith("tls: certificates of clients are not asked for here")


@pytest.mark.parametrize(
    ("extra_config", "found"),
    [
        ({"proxy": {"sequential": True}}, ["endpoints[0].extra_config.proxy.sequential: has no counterpart"]),
        ({"proxy": {"sequential": False}}, []),
        ({"proxy": "x"}, []),
    ],
)
def test_a_pipe_of_another_kind_is_an_error(extra_config, found):
    told = problems(file(endpoint(extra_config=extra_config)))
    assert [problem.split(",")[0] for problem in told] == found


# -- plugins --------------------------------------------------------------------------------------------


@pytest.fixture
def asking(folder):
    """A file that asks for plugins of all kinds, of which one of each is there."""
    folder("h.py", sources.HANDLER.format(name="hand"))
    folder("m.py", sources.MODIFIER.format(name="mode"))
    folder("c.py", CLIENT)
    return file(
        endpoint(
            backend(extra_config={"plugin/http-client": {"name": "cc"}, MODIFIER: {"name": ["mode"]}}),
            extra_config={"github.com/devopsfaith/krakend/proxy/plugin": {"name": ["mode", "mod"]}},
        ),
        plugin={"folder": "plugins", "pattern": ".py"},
        extra_config={"plugin/http-server": {"name": ["hand", "hadn"]}},
    )


MISSING = [
    'extra_config["plugin/http-server"].name: no plugin "hadn"; did you mean "hand"?',
    'endpoints[0].extra_config["github.com/devopsfaith/krakend/proxy/plugin"].name: no plugin "mod"; '
    'did you mean "mode"?',
    'endpoints[0].backend[0].extra_config["plugin/http-client"].name: no plugin "cc"; did you mean "c"?',
]


def test_a_name_that_nothing_registers_is_an_error_unless_that_is_switched_off(asking):
    assert problems(asking) == MISSING
    assert warnings(asking, strict=False) == MISSING


@pytest.mark.parametrize("way", ["option", "file"])
def test_a_name_that_nothing_registers_is_an_error(asking, way):
    if way == "file":
        asking["extra_config"]["plugmw"] = {"strict": True, "compat": True}
    assert problems(asking, strict=True if way == "option" else None) == MISSING


@pytest.mark.parametrize("way", ["option", "file"])
def test_a_name_that_nothing_registers_is_a_warning_in_compat(asking, way):
    if way == "file":
        asking["extra_config"]["plugmw"] = {"compat": True}
    assert warnings(asking, compat=way == "option") == MISSING


def test_a_missing_folder_is_told_thrice_in_the_log_and_once_to_the_reader(folder, log):
    content = file(plugin={"folder": "nowhere"})
    assert warnings(content, logger=log, strict=False) == [
        "plugin.folder: open nowhere: no such file or directory"
    ]
    assert [line for line in log.lines if "open nowhere" in line] == [
        f"DEBUG: [SERVICE: {tag} Plugin] open nowhere: no such file or directory"
        for tag in ("Executor", "Handler", "Modifier")
    ]


@pytest.mark.parametrize(
    ("plugin", "problem"),
    [
        ({"folder": "nowhere"}, "plugin.folder: open nowhere: no such file or directory"),
        ({"folder": "plugins"}, "plugin.folder: plugins/bad.py: ZeroDivisionError: division by zero"),
    ],
)
def test_strict_refuses_a_missing_folder_and_a_broken_file(folder, plugin, problem):
    folder("bad.py", "1/0")
    with pytest.raises(ConfigErrors) as caught:
        Gateway.from_krakend(None, file(plugin=plugin), strict=True)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("http-client", ["c"], "got ['c'], expected the name of one plugin"),
        ("http-client", None, "missing, expected the name of one plugin"),
        ("req-resp-modifier", 5, "got 5, expected a list of names of plugins"),
    ],
)
def test_names_of_another_type_are_told(kind, name, problem):
    content = file(endpoint(backend(extra_config={f"plugin/{kind}": {"name": name}})))
    told = [f'{BACKEND}.extra_config["plugin/{kind}"].name: {problem}']
    assert problems(content) == told
    assert warnings(content, strict=False) == told


def test_without_a_plugin_section_nothing_is_loaded(folder, log):
    folder("bad.py", "1/0")
    assert warnings(file(), logger=log) == []
    assert log.lines == []


def test_a_plugin_section_without_a_folder_loads_nothing(folder, log):
    content = file(plugin={"pattern": ".py"})
    assert warnings(content, logger=log, strict=False) == [
        "plugin.folder: missing, expected the folder of the plugins"
    ]
    assert log.lines == []


def test_a_folder_beside_the_file_is_taken_if_there_is_none_here(folder, tmp_path, monkeypatch):
    folder("a.py", sources.HANDLER.format(name="a"))
    content = file(plugin={"folder": "plugins"}, extra_config={"plugin/http-server": {"name": "a"}})
    (tmp_path / "krakend.json").write_text(json.dumps(content))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Client(Gateway.from_krakend(hello, "../krakend.json")).get("/").json["trace"] == ["a"]


def test_the_folder_and_its_files_are_watched(folder, tmp_path):
    folder("a.py", sources.HANDLER.format(name="a"))
    with recording() as record:
        translated(file(plugin={"folder": "plugins"}))
    assert set(record.files) == {str(tmp_path / "plugins"), str(tmp_path / "plugins/a.py")}


def test_entries_share_one_loader_and_the_logger_is_given_once(folder, log):
    folder("krakend-server-example.py", EXAMPLE)
    content = json.loads(DOCUMENT.replace("PATTERN", "").replace("FOLDER", "plugins"))
    plan = Gateway.from_krakend(hello, content, logger=log).plan
    first, second = (entry.plugin for entry in plan.entries)
    assert first.loader is second.loader
    assert log.lines.count("DEBUG: [PLUGIN: krakend-server-example] Logger loaded") == 1


def test_plugins_of_a_reload_are_told_of_the_injected_logger(folder, log, tmp_path):
    folder("krakend-server-example.py", EXAMPLE)
    (tmp_path / "krakend.json").write_text(DOCUMENT.replace("PATTERN", ".py").replace("FOLDER", "plugins"))
    gateway = Gateway.from_krakend(hello, "krakend.json")
    gateway.register_logger(log)
    assert log.lines == ["DEBUG: [PLUGIN: krakend-server-example] Logger loaded"]
    assert gateway.reload()
    assert log.lines.count("DEBUG: [PLUGIN: krakend-server-example] Logger loaded") == 2
    assert "INFO: [SERVICE: Handler Plugin] Total plugins loaded: 1" in log.lines


def test_without_a_logger_lines_are_logged_under_plugmw(folder, caplog):
    folder("a.py", sources.HANDLER.format(name="a"))
    with caplog.at_level(logging.DEBUG, "plugmw"):
        Gateway.from_krakend(hello, file(plugin={"folder": "plugins"}))
    assert {record.name for record in caplog.records} == {"plugmw.krakend"}


def test_a_failing_factory_makes_all_but_compat_refuse_every_request(folder):
    folder("krakend-server-example.py", EXAMPLE)
    content = json.loads(DOCUMENT.replace("PATTERN", "").replace("FOLDER", "plugins"))
    del content["extra_config"]["plugin/http-server"]["krakend-server-example"]
    for options in ({"strict": False}, {"compat": "krakend"}):
        assert Client(Gateway.from_krakend(hello, content, **options)).get("/").status_code == 200
    for options in ({}, {"strict": True}, {"compat": "krakend", "strict": True}):
        assert Client(Gateway.from_krakend(hello, content, **options)).get("/").status_code == 500


def test_plugins_are_told_when_the_worker_stops(folder):
    folder("a.py", sources.HANDLER.format(name="a"))
    gateway = Gateway.from_krakend(hello, file(plugin={"folder": "plugins"}))
    Client(gateway).get("/")
    context = gateway.plan.entries[0].plugin.loader.context
    assert not context.done.is_set()
    gateway.stop()
    assert context.done.is_set()


def test_switches_of_the_file_and_of_the_caller_add_up():
    content = file(extra_config={"plugmw": {"compat": True}})
    made = translated(content, strict=True).entries[0][1].plugin.options
    assert (made.compat, made.strict) == (True, True)


# -- the environment ------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    def write(**content):
        path = tmp_path / "krakend.json"
        path.write_text(json.dumps({**file(endpoint()), **content}))
        return str(path)

    return write


def test_the_environment_replaces_what_the_root_has(written, monkeypatch):
    for name, text in [("NAME", "b"), ("TIMEOUT", "500ms"), ("PORT", "9000"), ("ECHO_ENDPOINT", "true")]:
        monkeypatch.setenv(f"KRAKEND_{name}", text)
    path = written(name="a", timeout="3s", port=8080, echo_endpoint=False)
    found = translate(load(path), Options()).entries[0][1].plugin.service
    assert (found.name, found.endpoints[0].timeout, found.echo_endpoint) == ("b", 0.5, True)


def test_the_environment_adds_nothing_that_the_file_does_not_have(written, monkeypatch):
    monkeypatch.setenv("KRAKEND_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("KRAKEND_HOST", "http://a")
    assert translate(load(written(host=["http://b"])), Options()).errors == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PORT", "tcp://10.0.0.1:8080", "an integer"),
        ("TIMEOUT", "soon", 'a duration like "2s", "300ms" or "1h30m"'),
    ],
)
def test_a_bad_value_of_the_environment_is_named_by_its_variable(written, monkeypatch, name, text, expected):
    monkeypatch.setenv(f"KRAKEND_{name}", text)
    (error,) = translate(load(written(port=1, timeout="1s")), Options()).errors
    variable = f"KRAKEND_{name}"
    assert str(error) == f"${variable}: {name.lower()}: got a value from ${{{variable}}}, expected {expected}"


def test_a_mapping_given_in_code_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("KRAKEND_NAME", "b")
    assert service(file(name="a")).name == "a"


# -- linting --------------------------------------------------------------------------------------------


def test_linting_reports_unknown_fields_and_namespaces_with_suggestions():
    content = file(
        endpoint(
            backend(whitelist=[], grop="a", extra_config={"plugin/http-clinet": {}}),
            headers_to_pass=[],
            extra_config={"auth/my-own": {}, "github.com/devopsfaith/krakend/proxy/plugin": {}},
        ),
        5,
        plugin={"folders": "x", "@comment": ""},
        extra_config={"plugmw": {}, "nothing/like/it": {}, "_comment": ""},
        **{"$schema": "x", "tiemout": "2s", "nothing": 1},
    )
    assert [str(error) for error in lint(Document(content))] == [
        'tiemout: unknown field "tiemout"; did you mean "timeout"?',
        'nothing: unknown field "nothing"',
        'extra_config["nothing/like/it"]: unknown namespace "nothing/like/it"',
        'plugin.folders: unknown field "folders"; did you mean "folder"?',
        'endpoints[0].headers_to_pass: unknown field "headers_to_pass"; in version 3 it is "input_headers"',
        f'{BACKEND}.whitelist: unknown field "whitelist"; in version 3 it is "allow"',
        f'{BACKEND}.grop: unknown field "grop"; did you mean "group"?',
        f'{BACKEND}.extra_config["plugin/http-clinet"]: unknown namespace "plugin/http-clinet"; '
        'did you mean "plugin/http-client"?',
    ]


@pytest.mark.parametrize(
    "content", [{}, {"endpoints": 5}, {"extra_config": 5, "endpoints": [{"backend": 5}]}]
)
def test_linting_leaves_wrong_types_to_the_check(content):
    assert lint(Document(content)) == []
