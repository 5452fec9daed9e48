# One image for web, worker, clockwork and the job that migrates. Where the base image comes from is an argument.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /srv/support/.venv
COPY requirements.lock /tmp/requirements.lock
RUN /srv/support/.venv/bin/pip install --require-hashes -r /tmp/requirements.lock

FROM ${BASE_IMAGE}
# libpango and a font are for PDFs; the client of PostgreSQL is for deploy/backup.sh.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /srv/support support \
    && install -d -o support -g support /srv/support/uploads
WORKDIR /srv/support
COPY --from=packages /srv/support/.venv .venv
COPY manage.py ./
COPY portal portal
COPY incidents incidents
COPY maintenance maintenance
COPY templates templates
COPY static static
COPY deploy deploy
ENV PATH=/srv/support/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    VAR_DIR=/srv/support/var MEDIA_ROOT=/srv/support/uploads
RUN SECRET_KEY=only-to-collect-files python -m compileall -q portal incidents maintenance \
    && SECRET_KEY=only-to-collect-files python manage.py collectstatic --noinput --verbosity 0 \
    && chmod -R a+rX /srv/support
USER support
VOLUME /srv/support/uploads
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "deploy/healthcheck.py"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "portal.wsgi"]
