"""zipkin: configuration, headers, spans, and a server that is away, with servers and processes."""

from __future__ import annotations

import requests

from tests.support import collectors
from tests.support.waiting import until
from tests.unit.contrib.zipkin.test_plugin import S, T, sent
from tests.unit.contrib.zipkin.test_plugin import sink as sink

# -- under gunicorn -----------------------------------------------------------------------------------

SERVED = """
    from plugmw.contrib.zipkin.plugin import Zipkin
    from plugmw.testing import hello_app

    app = Zipkin.middleware(hello_app, http_endpoint={url!r}, sample_ratio=1, queue={{"max_batch_size": 100}})
"""


def test_four_workers_send_all_their_spans_also_those_that_wait_at_the_end(gunicorn, sink):
    import requests

    server = gunicorn(SERVED.format(url=sink.url), workers=4, args=["-c", "python:plugmw.mounts.gunicorn"])
    for _ in range(40):
        assert requests.get(server.url, timeout=30).status_code == 200
    assert server.stop() == 0
    assert len(sink.spans) == 80
    assert len({one["traceId"] for one in sink.spans}) == 40


# -- a real server ------------------------------------------------------------------------------------
def test_a_real_zipkin_server_takes_the_spans_and_joins_them(tmp_path):
    with collectors.zipkin(tmp_path) as url:
        config = {"http_endpoint": f"{url}/api/v2/spans", "sample_ratio": 1, "local_service_name": "shop"}
        headers = {"X-B3-TraceId": T, "X-B3-SpanId": S, "X-B3-Sampled": "1"}
        upstream, _, _ = sent(config, headers)
        until(lambda: requests.get(f"{url}/api/v2/trace/{T}", timeout=10).status_code == 200)
        spans = requests.get(f"{url}/api/v2/trace/{T}", timeout=10).json()
        ids = {span["id"] for span in spans}
        assert S in {span.get("parentId") for span in spans} | ids
        assert upstream["x-b3-spanid"] in ids
        assert {span["localEndpoint"]["serviceName"] for span in spans} == {"shop"}
        assert requests.get(f"{url}/api/v2/services", timeout=10).json() == ["shop"]
