"""S11, S12, S30: a bundle stays in its folder and within its limits, and runs only if it is vouched for."""

from __future__ import annotations

import json
import stat

import pytest

from tests.security.gates import WORKERS
from tests.security.test_s11_bundles import BOMBS, code, definition, signed, with_entry
from tests.security.test_s11_bundles import keys as keys
from tests.security.test_s11_bundles import server as server
from tests.security.test_s11_bundles import trace as trace
from tests.support import raw

# -- through a server ------------------------------------------------------------------------------------

SERVED = """
    import json
    from plugmw import Gateway
    from plugmw.testing import hello_app
    app = Gateway.from_tyk(hello_app, json.load(open("definitions.json")))
"""


@pytest.mark.parametrize("worker_class", WORKERS)
def test_s11_s12_an_api_with_a_bomb_is_not_there_and_the_others_are(
    server, tmp_path, keys, trace, gunicorn, worker_class
):
    server.has["bomb.zip"] = BOMBS["a thousand to one"]()
    files = {"middleware.py": code(trace)}
    server.has["slip.zip"] = with_entry(files, "../../escaped", stat.S_IFREG, b"1", listed=False)
    server.has["good.zip"] = signed({"middleware.py": code(tmp_path / "good")})
    made = [
        definition(server, tmp_path, name, public_key_path=str(keys[1])) for name in ("bomb", "slip", "good")
    ]
    for one in made[1:]:
        del one["plugmw"]["store"]
    (tmp_path / "definitions.json").write_text(json.dumps(made))
    text = SERVED.replace('"definitions.json"', repr(str(tmp_path / "definitions.json")))
    running = gunicorn(text, worker_class=worker_class, args=WORKERS[worker_class])
    assert [raw.get(running.port, f"/{name}/").status for name in ("bomb", "slip", "good")] == [404, 404, 299]
    assert not trace.exists()
    log = running.log()
    assert "unpacks to over" in log
    assert "invalid file path in archive" in log
