"""The product's settings, with empty pages of the bench beside its own and a yardstick around the SQL."""

from portal.settings import *  # noqa: F403
from portal.settings import BASE_DIR, MIDDLEWARE, STORAGES, TEMPLATES

ROOT_URLCONF = "bench.scale_site"
MIDDLEWARE = ["bench.scale_site.measured", *MIDDLEWARE]
TEMPLATES[0]["DIRS"].append(BASE_DIR / "bench" / "templates")
# The names of static files are hashed as in production; they are not packed, for nobody asks for them here.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
