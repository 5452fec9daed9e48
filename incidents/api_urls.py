from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView
from rest_framework.routers import SimpleRouter

from incidents import api, report_api
from incidents.intake.alarms import door
from portal.api import StandardFormSchema

router = SimpleRouter()
router.register("incidents", api.IncidentViewSet, basename="api-incident")
router.register("services", api.ServiceViewSet, basename="api-service")
router.register("organisations", api.OrganisationViewSet, basename="api-organisation")
router.register("articles", api.ArticleViewSet, basename="api-article")
router.register("reports", report_api.ReportViewSet, basename="api-report")

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("reference/", SpectacularRedocView.as_view(url_name="api-schema"), name="api-reference"),
    path("standard-form/", StandardFormSchema.as_view(), name="api-standard-form"),
    path("alarms/alertmanager/", door.AlertmanagerDoor.as_view(), name="api-alarms-alertmanager"),
    path("alarms/grafana/", door.GrafanaDoor.as_view(), name="api-alarms-grafana"),
    path("alarms/generic/", door.GenericDoor.as_view(), name="api-alarms-generic"),
    path("", include(router.urls)),
]
