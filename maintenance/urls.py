from django.urls import path, register_converter

from maintenance import feed_views, views
from maintenance.converters import WindowConverter

register_converter(WindowConverter, "window")

app_name = "maintenance"
urlpatterns = [
    path("maintenance/", views.window_list, name="list"),
    path("maintenance/freezes/", views.freezes, name="freezes"),
    path("maintenance/freezes/<int:pk>/withdrawal/", views.freeze_withdrawal, name="freeze_withdrawal"),
    path("maintenance/calendar/", feed_views.my_calendar, name="calendar"),
    path("maintenance/<str:reference>/calendar.ics", feed_views.window_file, name="window_file"),
    path("maintenance/<window:reference>/", views.detail, name="detail"),
    path("maintenance/<window:reference>/now/", views.now_fragment, name="now"),
    path("maintenance/<window:reference>/timeline/", views.timeline_fragment, name="timeline"),
    path("maintenance/<window:reference>/consents/<int:pk>/", views.consent, name="consent"),
    path("calendar/<str:token>.ics", feed_views.feed, name="feed"),
]
