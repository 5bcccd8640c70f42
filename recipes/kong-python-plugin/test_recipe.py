"""The README's session, with the plugin server run under gunicorn with four workers."""

import shutil
from pathlib import Path

from tests.support.pluginservers import check_recipe, require_msgpack
from tests.support.servers import require_module

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn, tmp_path):
    require_msgpack()
    require_module("kong_pdk")
    check_recipe(gunicorn, shutil.copytree(HERE, tmp_path / "recipe"))
