"""The README's session, with the plugin server run under gunicorn with four workers."""

import shutil
from pathlib import Path

from tests.support.pluginservers import check_recipe, js_pdk, require_msgpack

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn, tmp_path):
    require_msgpack()
    folder = shutil.copytree(HERE, tmp_path / "recipe")
    (folder / "node_modules").symlink_to(js_pdk() / "node_modules")
    check_recipe(gunicorn, folder)
