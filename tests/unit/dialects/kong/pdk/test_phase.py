"""Every function of the table: in which phases it may be called, and which have no meaning."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong import adapt, kong
from plugmw.dialects.kong.pdk import Unsupported
from plugmw.dialects.kong.pdk.phase import of_type
from plugmw.errors import PhaseError
from plugmw.testing import gateway
from tests.support.kong import REQUEST, during, handler

KNOWN = ("access", "response", "header_filter", "body_filter", "log")
ANSWERED = KNOWN[1:]
BEFORE = ("rewrite", "access")
HEADERS = (*BEFORE, "response", "header_filter")
BODY = (*BEFORE, "response")

TABLE = {
    "request.get_scheme": ((), REQUEST),
    "request.get_host": ((), REQUEST),
    "request.get_port": ((), REQUEST),
    "request.get_forwarded_scheme": ((), REQUEST),
    "request.get_forwarded_host": ((), REQUEST),
    "request.get_forwarded_port": ((), REQUEST),
    "request.get_forwarded_path": ((), REQUEST),
    "request.get_forwarded_prefix": ((), REQUEST),
    "request.get_http_version": ((), REQUEST),
    "request.get_method": ((), REQUEST),
    "request.get_path": ((), REQUEST),
    "request.get_raw_path": ((), REQUEST),
    "request.get_path_with_query": ((), REQUEST),
    "request.get_raw_query": ((), REQUEST),
    "request.get_query_arg": (("a",), REQUEST),
    "request.get_query": ((), REQUEST),
    "request.get_header": (("a",), REQUEST),
    "request.get_headers": ((), REQUEST),
    "request.get_start_time": ((), REQUEST),
    "request.get_uri_captures": ((), REQUEST),
    "request.get_raw_body": ((), BODY),
    "request.get_body": ((), BODY),
    "client.get_ip": ((), REQUEST),
    "client.get_forwarded_ip": ((), REQUEST),
    "client.get_port": ((), REQUEST),
    "client.get_forwarded_port": ((), REQUEST),
    "client.get_consumer": ((), KNOWN),
    "client.get_credential": ((), KNOWN),
    "client.load_consumer": (("alice", True), KNOWN),
    "client.authenticate": (({"id": "1"}, None), ("access",)),
    "client.get_protocol": ((), KNOWN),
    "client.tls.get_full_client_certificate_chain": ((), ("rewrite", "access", "log")),
    "response.get_status": ((), ANSWERED),
    "response.get_header": (("a",), ANSWERED),
    "response.get_headers": ((), ANSWERED),
    "response.get_source": ((), ANSWERED),
    "response.set_status": ((201,), HEADERS),
    "response.set_header": (("a", "b"), HEADERS),
    "response.add_header": (("a", "b"), HEADERS),
    "response.clear_header": (("a",), HEADERS),
    "response.set_headers": (({},), HEADERS),
    "response.get_raw_body": ((), ("body_filter",)),
    "response.set_raw_body": (("a",), ("body_filter",)),
    "service.set_upstream": (("a",), ("access",)),
    "service.set_retries": ((1,), ("access",)),
    "service.set_timeouts": ((1, 1, 1), ("access",)),
    "service.request.enable_buffering": ((), BEFORE),
    "service.request.set_scheme": (("http",), BEFORE),
    "service.request.set_path": (("/",), BEFORE),
    "service.request.set_raw_query": (("",), BEFORE),
    "service.request.set_query": (({},), BEFORE),
    "service.request.clear_query_arg": (("a",), BEFORE),
    "service.request.set_method": (("GET",), BEFORE),
    "service.request.set_header": (("a", "b"), BEFORE),
    "service.request.add_header": (("a", "b"), BEFORE),
    "service.request.clear_header": (("a",), BEFORE),
    "service.request.set_headers": (({},), BEFORE),
    "service.request.set_raw_body": (("a",), BEFORE),
    "service.request.set_body": (({}, "application/json"), BEFORE),
    "service.response.get_status": ((), ANSWERED),
    "service.response.get_header": (("a",), ANSWERED),
    "service.response.get_headers": ((), ANSWERED),
    "router.get_route": ((), KNOWN),
    "router.get_service": ((), KNOWN),
    "ip.is_trusted": (("10.0.0.1",), REQUEST),
    "log.set_serialize_value": (("a", 1), REQUEST),
    "log.serialize": ((), ("log",)),
}
#: Raise by themselves: exits, or a body that is not there.
RAISING = {
    "response.exit": ((200,), HEADERS),
    "response.error": ((400,), HEADERS),
    "service.set_target": (("a", 1), BEFORE),
    "service.response.get_raw_body": ((), ANSWERED),
    "service.response.get_body": ((), ANSWERED),
}


def function(name):
    found = kong
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("phase", REQUEST)
def test_a_function_works_in_its_phases_only(phase):
    errors = {name: error_of(name, phase, arguments) for name, (arguments, _) in TABLE.items()}
    assert errors == {
        name: None if phase in allowed else refusal(name, phase, allowed)
        for name, (_, allowed) in TABLE.items()
    }


@pytest.mark.parametrize("phase", REQUEST)
def test_a_function_that_raises_is_refused_outside_of_its_phases(phase):
    outside = {name: row for name, row in RAISING.items() if phase not in row[1]}
    errors = {name: error_of(name, phase, arguments) for name, (arguments, _) in outside.items()}
    assert errors == {name: refusal(name, phase, allowed) for name, (_, allowed) in outside.items()}


def error_of(name, phase, arguments):
    """Call a function in a phase; return the type and the text of what it raises."""
    try:
        during(phase, function(name), *arguments)
    except Exception as error:
        return type(error), str(error)
    return None


def refusal(name, phase, allowed):
    called = name.rpartition(".")[2]
    return PhaseError, f"{called} cannot be called in {phase} phase (only in: {', '.join(allowed)})"


def test_the_phase_is_named_where_there_is_no_request():
    told = []

    def method(configs=None):
        try:
            kong.request.get_method()
        except PhaseError as error:
            told.append(error.phase)

    plugin = adapt(handler(init_worker=lambda: method(), configure=method, access=method), "tester")()
    gateway(plugin).start()
    assert told == ["init_worker", "configure"]


def test_outside_of_plugins_there_is_no_request():
    with pytest.raises(PhaseError, match="init_worker phase"):
        kong.request.get_method()


@pytest.mark.parametrize(
    "name",
    [
        "client.tls.request_client_certificate",
        "client.tls.disable_session_reuse",
        "client.tls.set_client_verify",
        "service.set_tls_cert_key",
        "service.set_tls_verify",
        "service.set_tls_verify_depth",
        "service.set_tls_verify_store",
        "service.set_target_retry_callback",
        "nginx.get_statistics",
        "tracing.start_span",
        "tracing.active_span",
        "tracing.set_active_span",
        "tracing.process_span",
        "tracing.set_should_sample",
    ],
)
def test_a_function_without_a_meaning_says_why(name):
    assert function(name).__doc__.startswith("Not available: ")
    with pytest.raises(Unsupported, match=f"^kong.{name} has no meaning under WSGI: ."):
        function(name)()


@pytest.mark.parametrize(
    ("value", "kinds", "good"),
    [
        (1, int, True),
        (True, int, False),
        (True, (int, bool), True),
        ("a", int, False),
        ("a", (int, str), True),
    ],
)
def test_a_truth_is_no_number(value, kinds, good):
    if good:
        of_type(value, kinds, "n", "a number")
    else:
        with pytest.raises(TypeError, match=r"^n must be a number$"):
            of_type(value, kinds, "n", "a number")
