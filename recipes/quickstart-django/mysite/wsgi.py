"""Django's WSGI application inside the gateway; gunicorn and `runserver` both use it."""

import os

from django.core.wsgi import get_wsgi_application

from plugmw.mounts.django import wrap_django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
application = wrap_django(get_wsgi_application())
