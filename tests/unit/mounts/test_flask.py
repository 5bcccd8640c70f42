"""The Flask extension, in real Flask apps."""

from __future__ import annotations

import pytest
from flask import Flask, g, jsonify

from plugmw.contrib.correlation_id import CorrelationID
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.mounts.flask import PlugMW, current_consumer

CONFIG = {
    "store": "memory://",
    "routes": [{"name": "me", "paths": ["/me"]}],
    "plugins": [{"name": "key-auth", "route": "me"}],
    "consumers": [{"username": "alice", "keyauth_credentials": [{"key": "k"}]}],
}


def make_app(**options):
    app = Flask(__name__, **options)

    @app.get("/")
    @app.get("/me")
    def who():
        return jsonify(
            proxy=current_consumer.username if current_consumer else None,
            g=g.consumer.username if g.consumer else None,
        )

    return app


def test_wraps_the_app_for_servers_and_test_clients():
    app = make_app()
    PlugMW(app, CONFIG)
    client = app.test_client()
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers={"apikey": "k"}).json == {"proxy": "alice", "g": "alice"}


def test_without_a_consumer_both_are_false_and_none():
    app = make_app()
    PlugMW(app, CONFIG)
    assert app.test_client().get("/").json == {"proxy": None, "g": None}


def test_the_consumer_is_none_outside_a_request():
    assert current_consumer == None  # noqa: E711
    assert not current_consumer


def test_the_consumer_is_known_to_error_handlers_too():
    app = make_app()
    PlugMW(app, {**CONFIG, "routes": [], "plugins": [{"name": "key-auth"}]})

    @app.errorhandler(404)
    def missing(error):
        return f"not here, {g.consumer.username}", 404

    assert app.test_client().get("/nowhere", headers={"apikey": "k"}).text == "not here, alice"


def test_init_app_takes_the_configuration_from_the_app():
    plugmw = PlugMW()
    apps = [make_app(), make_app()]
    for app in apps:
        app.config["PLUGMW_CONFIG"] = CONFIG
        plugmw.init_app(app)
    assert [app.test_client().get("/me").status_code for app in apps] == [401, 401]
    assert apps[0].extensions["plugmw"] is not apps[1].extensions["plugmw"]


def test_arguments_win_over_the_app_and_those_of_init_app_over_all():
    bad = {"plugins": [{"name": "nothing"}]}
    app = make_app()
    app.config["PLUGMW_CONFIG"] = bad
    PlugMW(config=CONFIG).init_app(app)
    app = make_app()
    PlugMW(config=bad).init_app(app, CONFIG)
    assert app.test_client().get("/me").status_code == 401


@pytest.mark.parametrize("relative", [False, True], ids=["root", "instance"])
def test_a_relative_path_is_taken_as_flask_takes_those_of_its_config(tmp_path, relative):
    base = tmp_path / "instance" if relative else tmp_path
    base.mkdir(exist_ok=True)
    (base / "gateway.yaml").write_text("plugins:\n  - name: key-auth\n")
    app = make_app(
        root_path=str(tmp_path),
        instance_path=str(tmp_path / "instance"),
        instance_relative_config=relative,
    )
    PlugMW(app, "gateway.yaml")
    assert app.test_client().get("/").status_code == 401


def test_an_absolute_path_stays_as_it_is(tmp_path):
    (tmp_path / "gateway.yaml").write_text("plugins:\n  - name: key-auth\n")
    app = make_app()
    PlugMW(app, tmp_path / "gateway.yaml")
    assert app.test_client().get("/").status_code == 401


def test_takes_plugins_made_in_code_and_then_needs_no_file():
    app = make_app()
    PlugMW(app, plugins=[CorrelationID(echo_downstream=True)])
    assert "X-Correlation-ID" in app.test_client().get("/").headers


def test_a_missing_configuration_is_an_error():
    with pytest.raises(ConfigError, match="PLUGMW_CONFIG: missing, expected a path or a mapping"):
        PlugMW(make_app())


def test_a_bad_configuration_is_an_error_and_leaves_the_app_as_it_was():
    app = make_app()
    with pytest.raises(ConfigErrors, match='no plugin "nothing"'):
        PlugMW(app, {"plugins": [{"name": "nothing"}]})
    assert app.test_client().get("/me").status_code == 500  # no g.consumer: no gateway
    assert "plugmw" not in app.extensions


def test_a_second_gateway_for_one_app_is_refused():
    app = make_app()
    PlugMW(app, CONFIG)
    with pytest.raises(RuntimeError, match="has a gateway already"):
        PlugMW(app, CONFIG)


def test_options_without_an_app_are_refused():
    with pytest.raises(TypeError, match="plugins: given without an app"):
        PlugMW(plugins=[])
