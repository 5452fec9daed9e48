from django.urls import include, path
from rest_framework.routers import SimpleRouter

from maintenance import api, feed_api

router = SimpleRouter()
router.register("maintenance-windows", api.WindowViewSet, basename="api-maintenance-window")
router.register("freezes", api.FreezeViewSet, basename="api-freeze")

urlpatterns = [
    path(
        "calendar-feed/",
        feed_api.CalendarFeedViewSet.as_view({"get": "retrieve", "post": "create", "delete": "destroy"}),
        name="api-calendar-feed",
    ),
    path("", include(router.urls)),
]
