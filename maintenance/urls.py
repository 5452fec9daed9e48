from django.urls import path

from maintenance import feed_views, views

app_name = "maintenance"
urlpatterns = [
    path("maintenance/", views.window_list, name="list"),
    path("maintenance/calendar/", feed_views.my_calendar, name="calendar"),
    path("maintenance/<str:reference>/calendar.ics", feed_views.window_file, name="window_file"),
    path("calendar/<str:token>.ics", feed_views.feed, name="feed"),
]
