# One image for web, worker, beat and the paper gateway; the command says which.

FROM python:3.12-slim AS packages
COPY requirements/base.txt /tmp/base.txt
# The pins are complete and hashed: nothing is resolved, nothing unpinned gets in.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/base.txt

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --create-home ibkr \
    && install --directory --owner ibkr --mode 700 /audit && install --directory --owner ibkr /checkpoints
COPY --from=packages /opt/venv /opt/venv
COPY manage.py /app/
COPY ibkr_site /app/ibkr_site
COPY accounts /app/accounts
COPY alarms /app/alarms
COPY audit /app/audit
COPY database /app/database
COPY orders /app/orders
COPY gateway /app/gateway
RUN /opt/venv/bin/python -m compileall -q /app
# TZ: the broker's times without a zone are UTC, and ib_insync reads them as local.
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 TZ=UTC DATA_DIR=/data
WORKDIR /app
USER ibkr
VOLUME /data
EXPOSE 8000
CMD ["sh", "-c", "exec granian --interface wsgi --no-ws --http 1 --http1-buffer-size 65536 --log-level error --host \"$HOST\" --port \"$PORT\" --workers \"${WEB_WORKERS:-2}\" --blocking-threads \"${WEB_THREADS:-8}\" ibkr_site.wsgi:application"]
