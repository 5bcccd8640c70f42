"""The README's session, with the plugin built and run under gunicorn with four workers."""

import shutil
from pathlib import Path

from tests.support.pluginservers import check_recipe, go_binary

HERE = Path(__file__).parent


def test_answers_as_the_readme_shows(gunicorn, tmp_path):
    folder = shutil.copytree(HERE, tmp_path / "recipe")
    shutil.copy(go_binary(HERE), folder / "my-plugin")
    check_recipe(gunicorn, folder)
