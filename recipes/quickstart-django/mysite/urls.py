"""The admin, and a page that says who is asking: `/` for everyone, `/me` behind key-auth."""

from django.contrib import admin
from django.http import HttpRequest, JsonResponse
from django.urls import path


def index(request: HttpRequest) -> JsonResponse:
    consumer = request.consumer
    return JsonResponse({"hello": consumer.username if consumer else "stranger"})


urlpatterns = [path("", index), path("me", index), path("admin/", admin.site.urls)]
