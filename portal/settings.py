"""The one settings file: everything that differs between installations comes from the environment.

`make run` and `make test` write a development `.env` (DEBUG=true and a random secret); a production
process gets real environment variables and refuses to start without a secret.
"""

import sys
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from portal import schedule

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it in the environment (50 random characters or more); "
            "for development run `make run`, which writes a .env file, or set DEBUG=true."
        )
    SECRET_KEY = "development-only-secret-that-protects-nothing-" + str(BASE_DIR)

SECRET_KEY_FALLBACKS = env.list(
    "SECRET_KEY_FALLBACKS", default=[]
)  # former ones, while secrets still need them

SUPPORT_BRAND = env.str("SUPPORT_BRAND", default="BriqMind Support")
SITE_URL = env.str("SITE_URL", default=f"http://127.0.0.1:{env.int('PORT', default=8000)}").rstrip("/")
MAIL_DOMAIN = env.str("MAIL_DOMAIN", default="support.briqmind.example")
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default=f"support@{MAIL_DOMAIN}")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
if DEBUG and "testserver" not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append("testserver")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

INSTALLED_APPS = [
    "maintenance",
    "incidents",
    "portal",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "django_htmx",
    "csp",
    "simple_history",
]

MIDDLEWARE = [
    "portal.request_watch.request_watch",  # the outermost: what the others refuse is counted and told, too
    "portal.middleware.machines_come_by_https",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",  # before the static files: they bear the policy, too
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.middleware.safe_answers",
    "portal.sessions.sessions_end",
    "portal.page_limits.page_limits",
    "portal.identity_session.provider_sessions",
    "portal.impersonation.look_as",  # from here on the user may be the customer whom staff look as
    "portal.middleware.person_zone_and_language",
    "portal.middleware.designed_not_found",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.second_factor.SecondFactorMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.brand",
            ],
        },
    },
]

# Of one process, web or worker. Of a worker more than the turns of its work (portal/turns.py) can hold together.
THREADS = env.int("THREADS", default=24)

# --- Database -----------------------------------------------------------------------------------

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'portal.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # IMMEDIATE takes the write lock at the start of a transaction: read-modify-write never fails halfway.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # a database that was restarted costs nobody a request
    _options = DATABASES["default"].setdefault("OPTIONS", {})  # beside those of the address, such as sslmode
    # What takes longer is cut off: in web processes, and in migrations that would wait for a lock. 0: nothing is.
    _limits = {
        "statement_timeout": env.int("DATABASE_STATEMENT_TIMEOUT_SECONDS", default=0),
        "lock_timeout": env.int("DATABASE_LOCK_TIMEOUT_SECONDS", default=0),
    }
    _said = [f"-c {name}={seconds}s" for name, seconds in _limits.items() if seconds]
    if _said:
        _options["options"] = " ".join([_options.get("options", ""), *_said]).strip()
    if env.bool("DATABASE_POOL", default=True):
        _options["pool"] = {
            "min_size": env.int("DATABASE_POOL_MIN", default=1),
            # A thread holds one at most while it works, and lanes hold none: with so many, none waits for another.
            "max_size": env.int("DATABASE_POOL_MAX", default=THREADS),
            "timeout": 20,
        }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People and sign-in -------------------------------------------------------------------------

AUTH_USER_MODEL = "portal.User"
AUTHENTICATION_BACKENDS = ["portal.accounts.Backend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "portal.passwords.OwnWordsValidator"},
    {"NAME": "portal.passwords.BreachedValidator"},
]
# Known passwords as lines of SHA-1 in ascending order (“HASH” or “HASH:COUNT”), such as Have I Been Pwned's own
# file; asked for here on this machine only. Empty: the common ones alone are refused.
BREACHED_PASSWORDS_FILE = env.str("BREACHED_PASSWORDS_FILE", default="")
ACCOUNT_ADAPTER = "portal.accounts.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "portal.identity_adapter.SocialAccountAdapter"
SOCIALACCOUNT_STORE_TOKENS = False  # nothing is asked of an identity provider after the sign-in
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_AUTO_SIGNUP = False
# Who came by an identity provider comes back to it after so many seconds: what it took away is gone by then.
IDENTITY_SESSION_SECONDS = env.int("IDENTITY_SESSION_SECONDS", default=8 * 60 * 60)
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True  # of changes to the password and to factors
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 5 * 60
# Failed sign-ins have limits of their own (portal/accounts.py); these are of the pages, and of factors' codes.
ACCOUNT_RATE_LIMITS = {"login_failed": "20/m/ip,5/5m/key", "login": "60/m/ip"}
ACCOUNT_PREVENT_ENUMERATION = True
PASSWORD_RESET_TIMEOUT = 60 * 60
MFA_ADAPTER = "portal.second_factor.MFAAdapter"
MFA_FORMS = {
    "add_webauthn": "portal.passkey_forms.AddForm",
    "login_webauthn": "portal.passkey_forms.LoginForm",
    "authenticate_webauthn": "portal.passkey_forms.AuthenticateForm",
    "reauthenticate_webauthn": "portal.passkey_forms.ReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_ALLOW_UNVERIFIED_EMAIL = (
    True  # accounts are made by staff and by invitation, never by whoever types an address
)
MFA_TOTP_TOLERANCE = 1  # one step of 30 s, for clocks that are a little off
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RECOVERY_CODE_DIGITS = 10
# Whether staff need a second factor. Off in development only, where the demo's people have none.
STAFF_SECOND_FACTOR = env.bool("STAFF_SECOND_FACTOR", default=not DEBUG)
# Whether everybody does; otherwise each organisation decides for its own people.
SECOND_FACTOR_FOR_ALL = env.bool("SECOND_FACTOR_FOR_ALL", default=False)
# Whether people are told by mail of a sign-in from a browser that they have not used before.
SIGN_IN_NOTICES = env.bool("SIGN_IN_NOTICES", default=not DEBUG)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# How long a sign-in lasts, and how long without a request; then one signs in again.
SESSION_LONGEST = timedelta(hours=env.float("SESSION_HOURS", default=7 * 24))
SESSION_IDLE = timedelta(hours=env.float("SESSION_IDLE_HOURS", default=24))
STAFF_SESSION_LONGEST = timedelta(hours=env.float("STAFF_SESSION_HOURS", default=12))
STAFF_SESSION_IDLE = timedelta(hours=env.float("STAFF_SESSION_IDLE_HOURS", default=2))
SESSION_COOKIE_AGE = int(max(SESSION_LONGEST, STAFF_SESSION_LONGEST).total_seconds())

# --- Cache: throttles only, and nothing that must not be lost ------------------------------------

# One process (the embedded default) counts in its memory; several need one place, which is the broker's Redis.
# Where it is down, throttles count nothing for that time, and the pages still answer.
CACHE_URL = env.str("CACHE_URL", default="")
if not CACHE_URL and env.str("CELERY_BROKER_URL", default="").startswith(("redis", "unix")):
    CACHE_URL = env.str("CELERY_BROKER_URL")
if CACHE_URL:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": CACHE_URL,
            "KEY_PREFIX": "portal",
            "OPTIONS": {
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",  # nothing read from there is run
                "SOCKET_CONNECT_TIMEOUT": 1,
                "SOCKET_TIMEOUT": 1,
                "IGNORE_EXCEPTIONS": True,
            },
        }
    }
    DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

CACHES["nothing"] = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}

# --- Languages and zones ------------------------------------------------------------------------

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", _("English")), ("tr", _("Turkish"))]
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
TIME_ZONE = env.str("TIME_ZONE", default="Europe/Istanbul")
SUPPORT_COUNTRY = env.str("SUPPORT_COUNTRY", default="TR")  # public holidays of the first calendar
USE_I18N = True
USE_TZ = True
FORMAT_MODULE_PATH = "portal.formats"

# --- Static files and uploads -------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(VAR_DIR / "uploads")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=25 * 1024 * 1024)
# ClamAV's daemon: unix:///run/clamav/clamd.ctl or tcp://host:3310; empty: files are not scanned.
CLAMAV_URL = env.str("CLAMAV_URL", default="")
CLAMAV_TIMEOUT_SECONDS = env.int("CLAMAV_TIMEOUT_SECONDS", default=60)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000  # a communication plan is one form with a row for each role and topic

# --- Mail ---------------------------------------------------------------------------------------

if env.str("EMAIL_URL", default=""):
    globals().update(env.email("EMAIL_URL"))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(VAR_DIR / "mail")
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=20)
DEFAULT_FROM_EMAIL = f"{SUPPORT_BRAND} <{SUPPORT_EMAIL}>"
SERVER_EMAIL = SUPPORT_EMAIL
# What comes in. Only the Authentication-Results of our own mail servers, by these names, are believed.
MAIL_AUTHSERV_IDS = env.list("MAIL_AUTHSERV_IDS", default=[MAIL_DOMAIN, f"mx.{MAIL_DOMAIN}"])
MAIL_MAX_BYTES = env.int("MAIL_MAX_BYTES", default=40 * 1024 * 1024)
IMAP_URL = env.str("IMAP_URL", default="")  # imaps://user:password@host:993/INBOX; empty: no polling
IMAP_POLL_SECONDS = env.float("IMAP_POLL_SECONDS", default=15.0)

# --- Jobs: the broker carries wake-ups only; the database rows decide -----------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = THREADS
# How long a worker that is told to end may finish what it is at; less than whoever tells it waits until it kills.
WORKER_STOP_SECONDS = env.float("WORKER_STOP_SECONDS", default=30.0)
CELERY_BEAT_SCHEDULER = "portal.clockwork:Clockwork"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "clockwork-schedule")
CELERY_TASK_PUBLISH_RETRY = False
if CELERY_BROKER_URL.startswith("filesystem"):
    _queue = VAR_DIR / "queue"
    for _folder in (_queue, _queue.with_name("queue-control")):
        _folder.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue),
        "data_folder_out": str(_queue),
        "control_folder": str(_queue.with_name("queue-control")),
        "polling_interval": 0.2,
    }
else:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 600,
        "max_retries": 0,  # a wake-up that cannot be given at once is not worth the web's waiting
        "socket_timeout": 3,
        "socket_connect_timeout": 3,
    }
CELERY_BEAT_SCHEDULE = schedule.beat(IMAP_POLL_SECONDS)
CELERY_TASK_ROUTES = schedule.routes()
CELERY_TASK_QUEUES = schedule.QUEUES  # a worker that is not told which serves them all
CELERY_TASK_DEFAULT_QUEUE = schedule.SLOW
# Where plans name no conference of their own: https, with {key}; empty: bridges have no conference.
BRIDGE_CONFERENCE_URL = env.str("BRIDGE_CONFERENCE_URL", default="")
# Identity providers on an inner network, as host or host:port; all else there is refused, and plain http, too.
IDENTITY_ALLOWED_HOSTS = [host.strip().lower() for host in env.list("IDENTITY_ALLOWED_HOSTS", default=[])]
OUTBOX_LEASE_SECONDS = env.int("OUTBOX_LEASE_SECONDS", default=120)
# Receivers of webhooks on an inner network, as host or host:port; all else there is refused.
WEBHOOK_ALLOWED_HOSTS = [host.strip().lower() for host in env.list("WEBHOOK_ALLOWED_HOSTS", default=[])]
# Services for pagers and SMS, by apprise's names: only such as have a host of their own, which no address can choose.
PAGER_SCHEMAS = [
    name.strip().lower()
    for name in env.list(
        "PAGER_SCHEMAS",
        default=[
            "pagerduty",
            "opsgenie",
            "splunk",
            "victorops",
            "signl4",
            "twilio",
            "vonage",
            "nexmo",
            "clickatell",
            "msgbird",
            "sinch",
            "d7sms",
            "pover",
        ],
    )
]
READY_MAX_SWEEP_AGE_SECONDS = 90
READY_MAX_OUTBOX_LAG_SECONDS = 90

# --- API ----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "portal.api_auth.PersonToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "portal.parsers.TextParser"
    ],  # a form knows no null, no list and no missing “no”
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "portal.api.problem_details",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_MODEL": "portal.ApiToken",
    "TOKEN_TTL": None,
    "AUTO_REFRESH": False,
}
# How often, as (requests, seconds); an entry that is None is off, and so are all by RATE_LIMITS=off. Each token
# counts by itself, else the person, else the address; alarms and channels count by their source and channel,
# generously, for what they send must not be lost; failures are wrong tokens and signatures, by address.
RATE_LIMITS: dict[str, tuple[int, int] | None] = {
    "reads": (env.int("RATE_LIMIT_READS", default=1200), 60),
    "writes": (env.int("RATE_LIMIT_WRITES", default=600), 60),
    "alarms": (env.int("RATE_LIMIT_ALARMS", default=60_000), 60),
    "channels": (env.int("RATE_LIMIT_CHANNELS", default=6_000), 60),
    "failures": (env.int("RATE_LIMIT_FAILURES", default=120), 60),
    "pages": (env.int("RATE_LIMIT_PAGES", default=1200), 60),  # of a person who is signed in, as the next two
    "forms": (env.int("RATE_LIMIT_FORMS", default=240), 60),
    "documents": (env.int("RATE_LIMIT_DOCUMENTS", default=60), 60),
}
if env.str("RATE_LIMITS", default="on") == "off":
    RATE_LIMITS = {}
KNOX_TOKEN_MODEL = "portal.ApiToken"  # noqa: S105 (the name of a model)
SPECTACULAR_SETTINGS = {
    "TITLE": f"{SUPPORT_BRAND} API",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "LevelEnum": "incidents.models.agreement.Level",
        "StatusEnum": "incidents.models.incident.Status",
        "AlarmStatusEnum": "incidents.models.intake.Alarm.Status",
        "WindowStatusEnum": "maintenance.models.window.Status",
        "PreventionKindEnum": "incidents.models.rca.PreventionAction.Kind",
    },
}

# --- Safety -------------------------------------------------------------------------------------

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
# The staff desk's theme evaluates expressions and sets styles by attributes; scripts still come from here only.
DESK_CONTENT_SECURITY_POLICY = {
    **CONTENT_SECURITY_POLICY["DIRECTIVES"],
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
}
PERMISSIONS_POLICY = (
    "accelerometer=(), autoplay=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
    "magnetometer=(), microphone=(), midi=(), payment=(), usb=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)"
)
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
IS_HTTPS = SITE_URL.startswith("https://")
if not DEBUG and IS_HTTPS:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked on the inner network
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_SUBDOMAINS", default=True)
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    # Bound to this very host: no other host of the domain can set or read them.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    LANGUAGE_COOKIE_NAME, MESSAGE_STORAGE = "__Host-language", "portal.own_cookies.Messages"
# How many reverse proxies of ours stand before the web server: so much of X-Forwarded-For is believed.
TRUSTED_PROXY_COUNT = ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
if TRUSTED_PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Whether /status/public/ exists: the state of services that are marked public, without any sign-in.
PUBLIC_STATUS = env.bool("PUBLIC_STATUS", default=False)
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Errors to a Sentry of your own (the extra “sentry”); empty: nothing is sent anywhere.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", default="production")

# json: one object a line, for machines; line: for people. Both without secrets.
LOG_FORMAT = env.str("LOG_FORMAT", default="line" if DEBUG else "json")
if LOG_FORMAT not in ("json", "line"):
    raise ImproperlyConfigured("LOG_FORMAT is json or line.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "portal.logs.SafeFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "json": {"()": "portal.logs.JsonFormatter"},
    },
    "filters": {"tokens": {"()": "portal.logs.HideTokens"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": sys.stderr,
            "formatter": LOG_FORMAT,
        }
    },
    "loggers": {
        "kombu.connection": {"level": "ERROR"},
        "celery.beat": {"level": "WARNING"},  # these three say each few seconds that nothing was due
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "django.request": {"filters": ["tokens"]},  # these two name the address that was asked for
        "django.server": {"filters": ["tokens"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="WARNING" if DEBUG else "INFO")},
}

UNFOLD = {
    "SITE_TITLE": SUPPORT_BRAND,
    "SITE_HEADER": SUPPORT_BRAND,
    "SITE_URL": "/",
    "SITE_SYMBOL": "support_agent",
    "SHOW_HISTORY": True,
    # One hue for actions, here as on the customers' pages.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(48.8% .17 260)",
            "700": "oklch(44% .17 260)",
            "800": "oklch(38% .15 262)",
            "900": "oklch(34% .12 263)",
            "950": "oklch(26% .09 266)",
        },
    },
    "DASHBOARD_CALLBACK": "portal.triage.dashboard",
    "STYLES": ["/static/css/tokens.css", "/static/css/labels.css", "/static/css/desk.css"],
}
