from django.urls import path
app_name="incidents"
urlpatterns=[path("incidents/<str:reference>/",lambda r:None,name="detail"),path("knowledge/<slug>/",lambda r:None,name="article")]
