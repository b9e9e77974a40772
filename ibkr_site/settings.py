"""Settings: everything that differs between two installations is an environment variable, listed in .env.example.

Rules: a default is right for `make run` on one's own machine; a combination that could hurt is refused here (see
`checks`), so no process starts on it; a secret may be given as a file, NAME_FILE=/path instead of NAME=value.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from ibkr_site import checks
from ibkr_site.environment import Environment
from ibkr_site.secret_files import generated_secret, read_secret

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment()
ENV_FILE = os.environ.get("ENV_FILE", str(BASE_DIR / ".env"))
if ENV_FILE and Path(ENV_FILE).is_file():
    env.read_env(ENV_FILE)  # what the environment already says wins

# --- Where we live -------------------------------------------------------------------------------------------------

DATA_DIR = Path(BASE_DIR, env("DATA_DIR", default=".data")).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

HOST = env("HOST", default="127.0.0.1")
PORT = env.int("PORT", default=8000)
API_AUTH = env("API_AUTH", default="loopback")
TRUST_NETWORK = env.bool("TRUST_NETWORK", default=False)
HTTPS = env.bool("HTTPS", default=False)
# Only what these say of the client's address is believed.
TRUSTED_PROXIES = checks.networks("TRUSTED_PROXIES", env.list("TRUSTED_PROXIES", default=[]))
WEB_WORKERS = env.int("WEB_WORKERS", default=2)
WEB_THREADS = env.int("WEB_THREADS", default=8)
WORKER_THREADS = env.int("WORKER_THREADS", default=16)

# Not set: `make run` starts these servers itself and leaves their addresses in DATA_DIR, so that a second terminal
# (`manage.py shell`, a second worker) finds them.
EMBEDDED_POSTGRES = not env("DATABASE_URL", default=None)
EMBEDDED_REDIS = not env("REDIS_URL", default=None)
EMBEDDED_SHARED_DIR = Path(env("EMBEDDED_SHARED_DIR", default="/var/lib/ibkr-order-gateway"))
EMBEDDED_POSTGRES_PORT = env.int("EMBEDDED_POSTGRES_PORT", default=0)
EMBEDDED_REDIS_PORT = env.int("EMBEDDED_REDIS_PORT", default=0)
DATABASE_URL = env("DATABASE_URL", default=None) or read_secret(
    DATA_DIR / "database_url", default="postgres://postgres@127.0.0.1:5432/ibkr"
)
# For first_start alone, which is run as the owner of the tables: the address under which the other processes come.
DATABASE_APP_URL = env("DATABASE_APP_URL", default="")
REDIS_URL = env("REDIS_URL", default=None) or read_secret(DATA_DIR / "redis_url", default="redis://127.0.0.1:6379/0")
for name, url in (("DATABASE_URL", DATABASE_URL), ("DATABASE_APP_URL", DATABASE_APP_URL), ("REDIS_URL", REDIS_URL)):
    checks.refuse_unreadable_address(name, url)
    checks.refuse_known_password(name, url)
if urlsplit(DATABASE_URL).scheme not in ("postgres", "postgresql"):
    raise ImproperlyConfigured("DATABASE_URL must start with postgres://: only PostgreSQL can guard the trail.")

# --- The broker ----------------------------------------------------------------------------------------------------

TRADING_MODE = env("TRADING_MODE", default="paper")
PAPER_PORT = env.int("PAPER_PORT", default=4002)
PAPER_ACCOUNTS = env.list("PAPER_ACCOUNTS", default=["DU1000001"])
PAPER_SEED = env.int("PAPER_SEED", default=1)
# Ours is started unless another gateway is named.
PAPER_GATEWAY = not (env("IB_HOST", default=None) or env("IB_PORT", default=None))
checks.refuse_paper_gateway_that_looks_live(port=PAPER_PORT, accounts=PAPER_ACCOUNTS)
IB_HOST = env("IB_HOST", default="127.0.0.1")
IB_CLIENT_ID = env.int("IB_CLIENT_ID", default=17)
IB_ACCOUNT = env("IB_ACCOUNT", default="")
checks.refuse_open_network(
    host=HOST, api_auth=API_AUTH, trust_network=TRUST_NETWORK, https=HTTPS, trading_mode=TRADING_MODE
)
checks.refuse_mode_mismatch(
    trading_mode=TRADING_MODE,
    ib_port=env.int("IB_PORT", default=None),
    account=IB_ACCOUNT,
)
IB_PORT = env.int("IB_PORT", default=PAPER_PORT)
checks.refuse_impossible_ports(PORT=PORT, PAPER_PORT=PAPER_PORT, IB_PORT=IB_PORT)
IB_MESSAGES_PER_SECOND = env.int("IB_MESSAGES_PER_SECOND", default=48)
checks.refuse_unworkable_pace(IB_MESSAGES_PER_SECOND)
GATEWAY_NAME = env("GATEWAY_NAME", default="default")
GATEWAY_QUEUE = f"gateway.{GATEWAY_NAME}"

PLACEMENT_WAIT_SECONDS = env.float("PLACEMENT_WAIT_SECONDS", default=8.0)
ORDER_VALID_SECONDS = env.float("ORDER_VALID_SECONDS", default=10.0)
CANCEL_WAIT_SECONDS = env.float("CANCEL_WAIT_SECONDS", default=8.0)
checks.refuse_wrong_waits(placement_wait=PLACEMENT_WAIT_SECONDS, order_valid=ORDER_VALID_SECONDS)
BRACKET_EXIT_TIME_IN_FORCE = env("BRACKET_EXIT_TIME_IN_FORCE", default="DAY").upper()
checks.refuse_unknown_choice("BRACKET_EXIT_TIME_IN_FORCE", BRACKET_EXIT_TIME_IN_FORCE, choices=("DAY", "GTC"))
EXECUTION_SYNC_SECONDS = env.float("EXECUTION_SYNC_SECONDS", default=30.0)
EXECUTION_SYNC_REST_SECONDS = env.float("EXECUTION_SYNC_REST_SECONDS", default=300.0)
SETTLE_SECONDS = env.float("SETTLE_SECONDS", default=30.0)
KILL_POINTS = env("KILL_POINTS", default="")  # a directory; see orders.kill_points
checks.refuse_faults_with_real_money(trading_mode=TRADING_MODE, kill_points=KILL_POINTS, settle_seconds=SETTLE_SECONDS)
FLEX_TIME_ZONE = env("FLEX_TIME_ZONE", default="America/New_York")
FLEX_MAX_MEGABYTES = env.int("FLEX_MAX_MEGABYTES", default=64)
checks.refuse_unreadable_statements(time_zone=FLEX_TIME_ZONE, megabytes=FLEX_MAX_MEGABYTES)
SWEEP_SECONDS = env.float("SWEEP_SECONDS", default=5.0)
RECONCILE_SECONDS = env.float("RECONCILE_SECONDS", default=300.0)
checks.refuse_too_short("RECONCILE_SECONDS", RECONCILE_SECONDS, least=10)
SNAPSHOT_SECONDS = env.float("SNAPSHOT_SECONDS", default=300.0)
checks.refuse_too_short("SNAPSHOT_SECONDS", SNAPSHOT_SECONDS, least=10)
GATEWAY_CALENDAR = checks.gateway_calendar(
    restart=env("GATEWAY_RESTART", default=""),
    restart_minutes=env.int("GATEWAY_RESTART_MINUTES", default=5),
    login=env("GATEWAY_LOGIN", default=""),
    login_minutes=env.int("GATEWAY_LOGIN_MINUTES", default=30),
    weekend=env("GATEWAY_WEEKEND", default=""),
    guard_seconds=env.int("GATEWAY_GUARD_SECONDS", default=60),
)

# --- The audit trail -----------------------------------------------------------------------------------------------

# Names the key and the checkpoints of this installation, among others'.
AUDIT_ORIGIN = env("AUDIT_ORIGIN", default=f"ibkr-order-gateway/{GATEWAY_NAME}")
AUDIT_DIR = Path(DATA_DIR, env("AUDIT_DIR", default="audit"))
AUDIT_KEY_FILE = AUDIT_DIR / "key"
AUDIT_PUBLIC_KEYS = Path(env("AUDIT_PUBLIC_KEYS", default=AUDIT_DIR / "public_keys"))
AUDIT_SINKS = env.list("AUDIT_SINKS", default=[f"file:{AUDIT_DIR / 'checkpoints'}"])
if AUDIT_SINKS == ["none"]:  # an empty variable counts as not set
    AUDIT_SINKS = []
AUDIT_SECONDS = env.float("AUDIT_SECONDS", default=60.0)

# --- Alarms --------------------------------------------------------------------------------------------------------

ALARM_DISCONNECTED_SECONDS = env.float("ALARM_DISCONNECTED_SECONDS", default=60.0)
ALARM_WEBHOOK_URL = env("ALARM_WEBHOOK_URL", default="")
ALARM_WEBHOOK_SECRET = env("ALARM_WEBHOOK_SECRET", default="")
ALARM_EMAIL_TO = env.list("ALARM_EMAIL_TO", default=[])
ALARM_EMAIL_FROM = env("ALARM_EMAIL_FROM", default="ibkr-order-gateway@localhost")
checks.refuse_unreachable_alarms(
    webhook=ALARM_WEBHOOK_URL, email_to=ALARM_EMAIL_TO, email_url=env("EMAIL_URL", default="")
)
AUTO_HALT = env.list("AUTO_HALT", default=["DUPLICATE", "ORPHAN", "TRAIL", "DAILY_LOSS"])
if AUTO_HALT == ["none"]:  # an empty variable counts as not set
    AUTO_HALT = []
HALT_FILE = Path(DATA_DIR, env("HALT_FILE", default="HALT"))
_mail = env.email_url("EMAIL_URL", default="dummymail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"] or "", _mail["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"] or "", _mail["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10

# --- Django --------------------------------------------------------------------------------------------------------

checks.refuse_weak_secret("SECRET_KEY", env("SECRET_KEY", default=""), embedded=EMBEDDED_POSTGRES)
SECRET_KEY = env("SECRET_KEY", default=None) or generated_secret(DATA_DIR / "secret_key")
DEBUG = env.bool("DEBUG", default=False)
checks.refuse_debug_in_the_open(debug=DEBUG, trading_mode=TRADING_MODE, host=HOST)
DEFAULT_EXCEPTION_REPORTER_FILTER = "ibkr_site.error_pages.ErrorPageFilter"
# The loopback names stay, for health checks; a page elsewhere that points its own name here is still refused.
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *env.list("ALLOWED_HOSTS", default=[])]
CSRF_FAILURE_VIEW = "ibkr_site.problems.csrf_failure"
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

ROOT_URLCONF = "ibkr_site.urls"
WSGI_APPLICATION = "ibkr_site.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a POST into a GET; both forms are declared instead
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"

INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "pgtrigger",
    "audit",
    "alarms",
    "accounts",
    "orders",
    "ibkr_site",
]

MIDDLEWARE = [
    "ibkr_site.request_context.RequestContextMiddleware",
    "ibkr_site.browser_headers.BrowserHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "accounts.logins.guard.AdminGuard",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "ibkr_site" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# Statements are the only files anybody uploads here; what is too large is dropped as it comes.
FILE_UPLOAD_HANDLERS = [
    "orders.flex.uploads.LargestStatement",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Straight from the packages: there is no collected copy to forget.
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

DATABASES = {
    "default": {
        **env.db_url_config(DATABASE_URL),
        "ENGINE": "database",
        # A thread keeps its connection: no pool to wait for, and what ends with its thread is closed with it.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,  # a restarted server costs a look, not a failed request
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "ibkr",
            # A server that vanished without a word is noticed within seconds, whatever we were doing (TCP only).
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            # What is kept is planned once (ADR 0025): by itself the server plans the largest anew for each order, since
            # it takes a list of keys it does not see for longer than they are.
            "options": "-c plan_cache_mode=force_generic_plan",
        },
    }
}

# --- Logins of the admin -------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["accounts.logins.lockout.CountingBackend", "django.contrib.auth.backends.ModelBackend"]
ADMIN_SECOND_FACTOR = env("ADMIN_SECOND_FACTOR", default="required" if TRADING_MODE == "live" else "optional")
checks.refuse_weak_logins(trading_mode=TRADING_MODE, second_factor=ADMIN_SECOND_FACTOR)
SECOND_FACTOR_REQUIRED = ADMIN_SECOND_FACTOR == "required"
OTP_TOTP_ISSUER = "IBKR Order Gateway"
SESSION_COOKIE_AGE = env.int("ADMIN_IDLE_SECONDS", default=30 * 60)
SESSION_LIFETIME_SECONDS = env.int("ADMIN_SESSION_SECONDS", default=12 * 3600)
checks.refuse_endless_sessions(idle=SESSION_COOKIE_AGE, lifetime=SESSION_LIFETIME_SECONDS)
SESSION_SAVE_EVERY_REQUEST = True  # each one puts the idle time off
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"

# --- Behind TLS ----------------------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 30 * 24 * 3600
    # What other names of the same domain serve is not ours to decide.
    SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
else:
    # Plain HTTP on loopback: no TLS to insist on (W004 HSTS, W008 redirect, W012 and W016 secure cookies).
    SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008", "security.W012", "security.W016"]

# --- The API -------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    # JSON only: a cross-site form post is not an order.
    "DEFAULT_PARSER_CLASSES": ["ibkr_site.parsing.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["ibkr_site.rendering.NumberRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "ibkr_site.rendering.OneFormat",
    # An admin's session cookie is no API login.
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.access.authentication.Door"],
    "DEFAULT_PERMISSION_CLASSES": [
        "ibkr_site.browser_safety.NotFromElsewhere",
        "accounts.access.permission.Granted",
    ],
    "EXCEPTION_HANDLER": "ibkr_site.problems.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "COERCE_DECIMAL_TO_STRING": False,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# Requests a second, of all web processes together; 0 for any number. Unlimited where nobody else can come.
THROTTLE_PER_ADDRESS = env.float("THROTTLE_PER_ADDRESS", default=0.0 if API_AUTH == "loopback" else 200.0)
THROTTLE_PER_KEY = env.float("THROTTLE_PER_KEY", default=0.0 if API_AUTH == "loopback" else 100.0)
THROTTLE_BURST_SECONDS = env.float("THROTTLE_BURST_SECONDS", default=5.0)
checks.refuse_wrong_throttles(
    per_address=THROTTLE_PER_ADDRESS, per_key=THROTTLE_PER_KEY, burst_seconds=THROTTLE_BURST_SECONDS
)

SPECTACULAR_SETTINGS = {
    "TITLE": "IBKR Order Gateway",
    "DESCRIPTION": "Place, follow and audit orders at Interactive Brokers.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],  # what there is to be asked is no secret
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["ibkr_site.openapi.without_final_slash"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "ibkr_site.openapi.with_headers_of_every_answer",
    ],
    "ENUM_NAME_OVERRIDES": {
        "SideEnum": "orders.vocabulary.Side.values",
        "OrderStatusEnum": "orders.vocabulary.OrderStatus.choices",
        "EventKindEnum": "orders.vocabulary.EventKind.choices",
        "ExecutionSourceEnum": "orders.vocabulary.ExecutionSource.values",
        "BreakSourceEnum": "orders.breaks.vocabulary.Source.choices",
        "HaltScopeEnum": "accounts.halts.models.Scope.choices",
        "BreakKindEnum": "orders.breaks.vocabulary.BreakKind.choices",
        "BreakEventKindEnum": "orders.breaks.vocabulary.BreakEventKind.choices",
    },
    # No badge from the validator's own site: these pages load nothing from elsewhere.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": ""},
}

UNFOLD = {
    "SITE_TITLE": "IBKR Order Gateway",
    "SITE_HEADER": "IBKR Order Gateway",
    "SITE_SYMBOL": "receipt_long",
    "SITE_URL": "/docs",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": False,
    "SITE_FAVICONS": [{"rel": "icon", "href": "/static/review/favicon.svg", "type": "image/svg+xml"}],
    "ENVIRONMENT": "ibkr_site.dashboard.trading_mode",
    "DASHBOARD_CALLBACK": "ibkr_site.dashboard.at_a_glance",
    "GLOBAL_CALLBACK": "ibkr_site.dashboard.colours",
    "LOGIN": {"form": "accounts.logins.forms.LoginForm"},
    "ACCOUNT": {"navigation": [{"title": "Second factor", "link": reverse_lazy("second-factor-enrol")}]},
    "SIDEBAR": {"navigation": "ibkr_site.dashboard.navigation"},
}

# --- Celery --------------------------------------------------------------------------------------------------------

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Redis may be away for a day; Postgres is swept meanwhile
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": env("REDIS_KEY_PREFIX", default="ibkr:"),
    # Without these a Redis that swallows packets hangs the request that rings.
    "socket_connect_timeout": 2,
    "socket_timeout": 5,
    "socket_keepalive": True,
    # Acknowledged before it runs, see below: to write each message down as taken and out again, two transactions of
    # Redis for each order, would protect nothing.
    "ack_emulation": False,
}
CELERY_TASK_PUBLISH_RETRY = False  # who rings does not wait; the sweep finds what nobody rang for
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = GATEWAY_QUEUE  # also what a worker listens to when it is not told otherwise
# Acknowledged before it runs: a bell lost with its worker is replaced by the sweep within seconds, while a late
# redelivery would ring for an order that is no longer valid.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_POOL = "threads"  # the threads share the one broker session of the process
CELERY_WORKER_CONCURRENCY = WORKER_THREADS
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_DB_REUSE_MAX = 1_000_000_000  # tasks keep their thread's connection; ibkr_site.celery has it looked at
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
# Each run expires when the next is due: what rang while no worker lived is not worked off afterwards.
CELERY_BEAT_SCHEDULE = {
    "sync executions": {
        "task": "orders.tasks.sync_executions",
        "schedule": EXECUTION_SYNC_SECONDS,
        "options": {"queue": GATEWAY_QUEUE, "expires": EXECUTION_SYNC_SECONDS},
    },
    # Rung for more often than one is due, so that one that could not be taken is not missed for long.
    "snapshot accounts": {
        "task": "orders.tasks.snapshot_accounts",
        "schedule": min(SNAPSHOT_SECONDS, 15.0),
        "options": {"queue": GATEWAY_QUEUE, "expires": min(SNAPSHOT_SECONDS, 15.0)},
    },
    "compare books": {
        "task": "orders.tasks.compare_books",
        "schedule": RECONCILE_SECONDS,
        "options": {"queue": GATEWAY_QUEUE, "expires": RECONCILE_SECONDS},
    },
    # At a quiet hour; in a process of its own, for it takes a while.
    "verify the audit trail": {
        "task": "orders.tasks.verify_audit",
        "schedule": crontab(hour=4, minute=30),
        "options": {"queue": GATEWAY_QUEUE, "expires": 3600},
    },
    "sweep": {
        "task": "orders.tasks.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"queue": GATEWAY_QUEUE, "expires": SWEEP_SECONDS},
    },
}

# --- Logging: one line per event, on stderr, in UTC ------------------------------------------------------

LOG_FORMAT = env("LOG_FORMAT", default="console")
checks.refuse_unknown_choice("LOG_FORMAT", LOG_FORMAT, choices=("console", "json"))
LOG_LEVEL = env("LOG_LEVEL", default="INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"with_traceback": {"()": "ibkr_site.log_lines.WithTraceback"}},
    "formatters": {
        "console": {"()": "ibkr_site.log_lines.ConsoleFormatter"},
        "json": {"()": "ibkr_site.log_lines.JsonFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Django's own handlers mail admins and print in another format.
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # What was answered with an error status is on record as a request; here stands what went wrong in the code.
        "django.request": {"filters": ["with_traceback"]},
        # Anybody can send a wrong Host header; the line about the request says that it was refused.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # The session says in one line what ib_insync says in four, every time it tries to connect.
        "ib_insync": {"level": "CRITICAL" if LOG_LEVEL != "DEBUG" else "DEBUG"},
        # A line per beat and per doorbell says nothing.
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}
