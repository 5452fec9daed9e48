"""The API's addresses that belong to no room."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from portal.announcement_api import AnnouncementViewSet
from portal.api_reference import ApiSchema, Reference
from portal.endpoint_api import EndpointViewSet
from portal.profile_api import ProfileViewSet
from portal.status_api import StatusViewSet
from portal.token_api import TokenViewSet

router = SimpleRouter()
router.register("announcements", AnnouncementViewSet, basename="api-announcement")
router.register("channels", EndpointViewSet, basename="api-channel")
router.register("status", StatusViewSet, basename="api-status")
router.register("tokens", TokenViewSet, basename="api-token")

urlpatterns = [
    path("schema/", ApiSchema.as_view(), name="api-schema"),
    path("reference/", Reference.as_view(), name="api-reference"),
    path(
        "profile/",
        ProfileViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="api-profile",
    ),
    path("", include(router.urls)),
]
