"""Django: ``wsgi.py`` wrapped, system checks for the configuration, ``request.consumer``.

# wsgi.py
application = wrap_django(get_wsgi_application())

# settings.py
PLUGMW = BASE_DIR / "gateway.yaml"
INSTALLED_APPS = [..., "plugmw.mounts.django"]                           # the checks
MIDDLEWARE = [..., "plugmw.mounts.django.ConsumerMiddleware"]            # request.consumer
"""

from plugmw.mounts.extras import need

need("django")

from plugmw.mounts.django.middleware import ConsumerMiddleware as ConsumerMiddleware  # noqa: E402
from plugmw.mounts.django.wsgi import wrap_django as wrap_django  # noqa: E402
