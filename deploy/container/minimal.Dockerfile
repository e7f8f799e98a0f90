# SPDX-License-Identifier: MIT
# Endpoints in a container, the least that works: one stage, with the compilers. Build it in the source
# tree, with the application beside it, as the longer Dockerfile:
#     docker build -f deploy/container/minimal.Dockerfile --build-context app=/path/to/app -t app .
FROM debian:12-slim
COPY deploy/container/steps /usr/local/bin/steps
COPY . /src
RUN steps packages-build /src
RUN steps build /src /opt/snacgi
COPY --from=app requirements.lock /src/requirements.lock
RUN steps venv /src/requirements.lock /opt/app/venv
COPY --from=app python /opt/app/python
COPY deploy/container/snacgi.conf /opt/app/snacgi.conf
RUN steps account
USER snacgi
EXPOSE 9000
ENTRYPOINT ["/opt/snacgi/bin/snacgi", "-c", "/opt/app/snacgi.conf"]
