from django.urls import path, register_converter

from incidents import original_views, rca_views, report_pages, views
from portal.converters import ReferenceConverter

register_converter(ReferenceConverter, "reference")

app_name = "incidents"
urlpatterns = [
    # the list and the form
    path("incidents/", views.incident_list, name="list"),
    path("incidents/new/", views.new, name="new"),
    path("incidents/new/suggestions/", views.suggestions, name="suggestions"),
    # one incident, and what is done to it: nouns
    path("incidents/<reference:reference>/", views.detail, name="detail"),
    path("incidents/<reference:reference>/now/", views.now_fragment, name="now"),
    path("incidents/<reference:reference>/timeline/", views.timeline_fragment, name="timeline"),
    path("incidents/<reference:reference>/replies/", views.replies, name="replies"),
    path("incidents/<reference:reference>/contest/", views.contest, name="contest"),
    path("incidents/<reference:reference>/escalation/", views.escalation, name="escalation"),
    path("incidents/<reference:reference>/confirmation/", views.confirmation, name="confirmation"),
    path("incidents/<reference:reference>/reopening/", views.reopening, name="reopening"),
    path("incidents/<reference:reference>/withdrawal/", views.withdrawal, name="withdrawal"),
    path("incidents/<reference:reference>/rca/", rca_views.rca, name="rca"),
    path("incidents/<reference:reference>/rca/pdf/", rca_views.rca_pdf, name="rca_pdf"),
    path("incidents/<reference:reference>/rca/comments/", rca_views.rca_comments, name="rca_comments"),
    path("incidents/<reference:reference>/rca/acceptance/", rca_views.rca_acceptance, name="rca_acceptance"),
    path("incidents/<reference:reference>/attachments/<int:pk>/", views.attachment, name="attachment"),
    path("incidents/<reference:reference>/original/", original_views.report_original, name="report_original"),
    path(
        "incidents/<reference:reference>/messages/<int:pk>/original/",
        original_views.original,
        name="original",
    ),
    # the monthly report; for staff of all organisations
    path("reports/", report_pages.months, name="reports"),
    path("reports/all/", report_pages.latest, name="report_latest"),
    path("reports/all/<slug:month>/", report_pages.all_organisations, name="report_all"),
    path("reports/all/<slug:month>/csv/", report_pages.all_csv, name="report_all_csv"),
    path("reports/<slug:month>/", report_pages.month, name="report"),
    path("reports/<slug:month>/csv/", report_pages.month_csv, name="report_csv"),
    path("reports/<slug:month>/pdf/", report_pages.month_pdf, name="report_pdf"),
    # the RCA of a maintenance window
    path("maintenance/<str:reference>/rca/", rca_views.window_rca, name="window_rca"),
    path("maintenance/<str:reference>/rca/pdf/", rca_views.window_rca_pdf, name="window_rca_pdf"),
    path(
        "maintenance/<str:reference>/rca/comments/", rca_views.window_rca_comments, name="window_rca_comments"
    ),
    path(
        "maintenance/<str:reference>/rca/acceptance/",
        rca_views.window_rca_acceptance,
        name="window_rca_acceptance",
    ),
    # knowledge and the promise
    path("knowledge/", views.articles, name="articles"),
    path("knowledge/<slug:slug>/", views.article, name="article"),
    path("sla/", views.sla, name="sla"),
]
