from django.urls import path

from maintenance import views

app_name = "maintenance"
urlpatterns = [
    path("maintenance/", views.window_list, name="list"),
]
