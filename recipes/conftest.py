"""The fixtures of the tests, for recipes too."""

from tests.conftest import gunicorn as gunicorn
