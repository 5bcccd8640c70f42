"""S7: where a path is cut into SCRIPT_NAME and PATH_INFO makes no difference to which plugins run."""

from __future__ import annotations

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from plugmw import Gateway
from tests.security.frameworks import django, pyramid
from tests.support import raw
from tests.support.wire import WORKERS
from tests.support.wsgi import environ_of, serve

SOURCE = """
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [])
        return [f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}".encode()]

    app = Gateway(site, {
        "store": "memory://",
        "routes": [{"name": "admin", "paths": ["/admin"]}, {"name": "stripped", "paths": ["/old"],
                    "strip_path": True, "service": "s"}],
        "services": [{"name": "s"}],
        "plugins": [
            {"name": "request-termination", "route": "admin", "config": {"status_code": 403}},
            {"name": "request-termination", "config": {"status_code": 409}, "when": {"paths": ["/when"]}},
        ],
    })
"""
#: (target, SCRIPT_NAME header) -> what comes of it. gunicorn takes only what the target begins with, and
#: does not decode it. 400 is what could be read as of another route.
CUTS = [
    ("/admin/users", None, 403),
    ("/admin/users", "", 403),
    ("/admin/users", "/admin", 400),
    ("/admin/users", "/admin/", 400),
    ("/admin/users", "/admin/users", 400),
    ("/admin/users", "/adm", 400),
    ("/admin/users", "/", 403),
    ("/admin", "/admin", 400),
    ("//admin/users", "/", 403),
    ("/x/admin/users", "/x", 400),
    ("/xadmin/users", "/x", 400),
    ("/x/admin/users", None, 200),
    ("/%61dmin/users", "/%61dmin", 400),
    ("/%61dmin/users", None, 403),
    ("/x/../admin/users", "/x/..", 400),
    ("/x/../admin/users", "/x", 400),
    ("/admin/../public", "/admin", 400),
    ("/admin;a/users", "/admin;a", 400),
    ("/when/a", "/when", 409),
    ("/x/when/a", "/x", 409),
    ("/xwhen/a", "/x", 409),
    ("/wh%65n/a", "/wh%65n", 409),
    ("/public/a", "/public", 200),
    ("/admin/users", "/other", 500),
]


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=WORKERS[request.param])


def test_s7_a_script_name_from_a_peer_that_may_send_one_moves_nothing(server):
    for target, script, status in CUTS:
        lines = [] if script is None else [f"SCRIPT_NAME: {script}"]
        answer = raw.get(server.port, target, *lines)
        assert answer.status == status, (target, script, answer.raw)
        if status == 200 and script:
            assert answer.body == b"/public|/a"


def test_s7_a_prefix_that_a_route_strips_is_no_other_path_for_plugins(server):
    answer = raw.get(server.port, "/old/admin/users")
    assert (answer.status, answer.body) == (200, b"/old|/admin/users")
    for script in ("/old", "/old/admin"):
        assert raw.get(server.port, "/old/admin/users", f"SCRIPT_NAME: {script}").status == 400


def test_s7_the_header_can_be_switched_off(gunicorn):
    """As SECURITY.md says for proxies that pass on what clients send."""
    server = gunicorn(SOURCE, args=["--forwarder-headers", ""])
    answer = raw.get(server.port, "/public/admin/users", "SCRIPT_NAME: /public")
    assert answer.body == b"|/public/admin/users"


@pytest.mark.parametrize("conf", ["-c python:plugmw.mounts.gunicorn", "-c own.py"])
def test_s7_the_mount_switches_the_header_off(gunicorn, tmp_path, conf):
    (tmp_path / "own.py").write_text("from plugmw.mounts.gunicorn import *\n", encoding="utf-8")
    server = gunicorn(SOURCE, args=conf.replace("own.py", str(tmp_path / "own.py")).split())
    assert raw.get(server.port, "/public/admin/users", "SCRIPT_NAME: /public").body == b"|/public/admin/users"
    assert raw.get(server.port, "/admin/users", "SCRIPT_NAME: /admin").status == 403


def test_s7_a_proxy_that_says_where_the_app_is_can_be_let(gunicorn, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "from plugmw.mounts.gunicorn import *\nforwarder_headers = 'SCRIPT_NAME'\n", encoding="utf-8"
    )
    server = gunicorn(SOURCE, args=["-c", str(own)])
    assert raw.get(server.port, "/public/a", "SCRIPT_NAME: /public").body == b"/public|/a"


# -- apps at a prefix, by gunicorn -------------------------------------------------------------------------

SITES = """
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    from plugmw import Gateway
    from tests.security import frameworks

    def bare(ran):
        def app(environ, start_response):
            start_response("200 OK", [])
            return [b"users" if environ["PATH_INFO"].strip("/") == "admin/users" else b"other"]
        return app

    def nothing(environ, start_response):
        start_response("404 Not Found", [])
        return []

    site = {"Flask": frameworks.flask, "Django": frameworks.django, "bare": bare}[FRAMEWORK]([])
    gateway = Gateway(site, {
        "store": "memory://",
        "routes": [{"name": "admin", "paths": [PREFIX + "/admin"]}, {"name": "all", "paths": ["/"]}],
        "plugins": [{"name": "request-termination", "route": "admin", "config": {"status_code": 403}}],
    })
    app = DispatcherMiddleware(nothing, {"/site": gateway}) if DISPATCHED else gateway
"""
PUBLIC = {"Flask": b"public", "Django": b"public", "bare": b"other"}


def site(gunicorn, framework, prefix="", dispatched=False, **options):
    import textwrap

    head = f"FRAMEWORK, PREFIX, DISPATCHED = {framework!r}, {prefix!r}, {dispatched}\n"
    return gunicorn(head + textwrap.dedent(SITES), **options)


@pytest.mark.parametrize("framework", PUBLIC)
def test_s7_a_header_of_the_client_takes_no_framework_past_a_guard(gunicorn, framework):
    server = site(gunicorn, framework)
    assert raw.get(server.port, "/admin/users").status == 403
    for target, script in [("/x/admin/users", "/x"), ("/xadmin/users", "/x"), ("/admin/users", "/admin")]:
        assert raw.get(server.port, target, f"SCRIPT_NAME: {script}").status == 400
    assert raw.get(server.port, "/public/a").body == PUBLIC[framework]
    assert raw.get(server.port, "/x/public/a", "SCRIPT_NAME: /x").body == PUBLIC[framework]


@pytest.mark.parametrize("framework", PUBLIC)
@pytest.mark.parametrize("how", ["dispatcher", "environment"])
def test_s7_an_app_at_a_prefix_goes_on_working_under_its_guards(gunicorn, framework, how):
    dispatched = how == "dispatcher"
    env = None if dispatched else {"SCRIPT_NAME": "/site"}
    server = site(gunicorn, framework, "/site", dispatched, env=env)
    assert raw.get(server.port, "/site/public/a").body == PUBLIC[framework]
    assert raw.get(server.port, "/site/admin/users").status == 403
    if not dispatched:
        assert raw.get(server.port, "/siteadmin/users").status == 400
        assert raw.get(server.port, "/site/x/admin/users", "SCRIPT_NAME: /site/x").status == 400


# -- mounts -----------------------------------------------------------------------------------------------


def guarded(app, on):
    entries = [{"name": "request-termination", "route": "users", "config": {"status_code": 403}}]
    routes = [{"name": "users", "paths": ["/site/admin/users"]}]
    return Gateway(app, {"store": "memory://", "routes": routes, "plugins": entries if on else []})


def nothing(environ, start_response):
    start_response("404 Not Found", [])
    return []


def dispatcher(ran, on):
    return DispatcherMiddleware(nothing, {"/site": guarded(django(ran), on)})


def nested_dispatchers(ran, on):
    def without_prefix(environ, start_response):
        return inner(environ | {"SCRIPT_NAME": "", "PATH_INFO": "/admin/users"}, start_response)

    inner = django(ran)
    return DispatcherMiddleware(
        nothing, {"/site": DispatcherMiddleware(nothing, {"/admin": guarded(without_prefix, on)})}
    )


def in_pyramid(ran, on):
    site = pyramid(ran)  # which imports the framework first
    from pyramid.config import Configurator
    from pyramid.wsgi import wsgiapp2

    config = Configurator()
    config.add_route("site", "/site/*subpath")
    config.add_view(wsgiapp2(guarded(site, on)), route_name="site")
    return config.make_wsgi_app()


def forced(ran, on):
    """Django makes its links with another prefix than the one that the server cuts."""
    from django.conf import settings

    inner = django(ran)

    def with_prefix(environ, start_response):
        before, settings.FORCE_SCRIPT_NAME = settings.FORCE_SCRIPT_NAME, "/elsewhere"
        try:
            return inner(environ, start_response)
        finally:
            settings.FORCE_SCRIPT_NAME = before

    return guarded(DispatcherMiddleware(nothing, {"/site": with_prefix}), on)


@pytest.mark.parametrize("mount", [dispatcher, nested_dispatchers, in_pyramid, forced])
def test_s7_a_mounted_app_keeps_its_plugins(mount):
    ran: list[str] = []
    app, bare = mount(ran, True), mount([], False)
    assert serve(bare, environ_of("/site/admin/users")).body == b"users"
    assert serve(app, environ_of("/site/admin/users")).status.startswith("403")
    for path in ("/site//admin/users", "/site/./admin/users", "/site/admin/users/", "/site/x/../admin/users"):
        assert serve(app, environ_of(path, RAW_URI=path)).status[:3] in ("400", "403", "404"), path
    assert ran == []
