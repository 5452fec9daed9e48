from django.urls import include, path
from rest_framework.routers import SimpleRouter

from maintenance import api

router = SimpleRouter()
router.register("maintenance-windows", api.WindowViewSet, basename="api-maintenance-window")
router.register("freezes", api.FreezeViewSet, basename="api-freeze")

urlpatterns = [path("", include(router.urls))]
