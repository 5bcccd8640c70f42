"""Consumers in a SQL table and what frameworks see of them, under real gunicorn."""

from __future__ import annotations

import json

import pytest

from plugmw.auth.directories import open_directory
from tests.support import raw
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

CONFIG = """
    CONFIG = {{
        "store": "memory://",
        "remote_user": "username",
        "consumer_store": {url!r},
        "plugins": [{{"name": "key-auth", "config": {{"anonymous": "nobody"}}}}],
    }}
"""
TELL = """
    def told(consumer, environ):
        same = consumer == environ.get("plugmw.consumer")
        return {{"who": consumer.username, "same": same, "remote_user": environ.get("REMOTE_USER")}}
"""
WSGI = """
    import json
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(told(environ["plugmw.consumer"], environ)).encode()]

    app = Gateway(site, CONFIG)
"""
FLASK = """
    from flask import Flask, g, request
    from plugmw.mounts.flask import PlugMW

    app = Flask(__name__)
    PlugMW(app, CONFIG)

    @app.get("/")
    def index():
        return told(g.consumer, request.environ)
"""
DJANGO = """
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import JsonResponse
    from django.urls import path
    from plugmw import Gateway

    urlpatterns = [path("", lambda request: JsonResponse(told(request.consumer, request.META)))]
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["plugmw.mounts.django.ConsumerMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="only for tests",
        USE_TZ=True,
    )
    app = Gateway(get_wsgi_application(), CONFIG)
"""
#: The plain app is served by each kind of worker.
APPS = {"flask": FLASK, "django": DJANGO}
CLASSES = {
    "sync": ("sync", ["--preload"]),
    "gthread": ("gthread", ["--threads", "8"]),
    "gevent": ("gevent", []),
    "gevent, preloaded": ("gevent", ["--preload"]),
}


@pytest.fixture(scope="module")
def postgres():
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/consumers.db"
    server = request.getfixturevalue("postgres")
    server.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return server.url


@pytest.fixture
def table(url):
    made = open_directory(url)
    made.add({"username": "nobody"})
    made.add({"username": "alice", "keyauth_credentials": [{"key": "k1"}]})
    yield made
    made.close()


def ask(port, *headers):
    answer = raw.get(port, "/", *headers)
    assert answer.status == 200, answer.raw
    return json.loads(answer.body)


def check(port, table):
    """Ask as everybody, and after changes of the table."""
    alice = {"who": "alice", "same": True, "remote_user": "alice"}
    nobody = {"who": "nobody", "same": True, "remote_user": None}
    lies = ("Remote-User: root", "REMOTE_USER: root", "X-Consumer-Username: root")
    for _ in range(8):
        assert ask(port, "apikey: k1", *lies) == alice
        assert ask(port, *lies) == nobody
    found = table.consumer("alice")
    table.add_credential(found, "key-auth", {"key": "k2"})
    until(lambda: all(ask(port, "apikey: k2") == alice for _ in range(8)), 10)
    table.remove(found)
    until(lambda: all(ask(port, "apikey: k1") == nobody for _ in range(8)), 10)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("app", APPS)
def test_each_framework_sees_the_consumer_and_changes_count(gunicorn, url, table, app):
    server = gunicorn(CONFIG.format(url=url) + TELL.format() + APPS[app], workers=2, worker_class="gthread")
    check(server.port, table)


@pytest.mark.parametrize(("worker_class", "args"), CLASSES.values(), ids=CLASSES)
def test_each_kind_of_worker_serves_them(gunicorn, url, table, worker_class, args):
    source = CONFIG.format(url=url) + TELL.format() + WSGI
    server = gunicorn(source, workers=2, worker_class=worker_class, args=args)
    check(server.port, table)


def test_a_database_that_stops_closes_the_door_and_opens_it_again(gunicorn):
    database = PostgresServer()
    try:
        database.start()
        table = open_directory(database.url)
        table.add({"username": "nobody"})
        table.add({"username": "alice", "keyauth_credentials": [{"key": "k1"}]})
        table.close()
        server = gunicorn(CONFIG.format(url=database.url) + TELL.format() + WSGI, workers=2)
        assert ask(server.port, "apikey: k1")["who"] == "alice"
        database.stop()
        until(lambda: raw.get(server.port, "/", "apikey: k1").status == 500, 10)
        assert raw.get(server.port, "/").status == 500
        database.start()
        until(lambda: all(raw.get(server.port, "/", "apikey: k1").status == 200 for _ in range(8)), 10)
    finally:
        database.remove()
