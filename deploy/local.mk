# Templates of print-config, and what it prints for the defaults: paste one and be right.
# tests/docs holds the two together; `make deploy-files` prints the second anew.
templatedir = $(pkgdatadir)/deploy
dist_template_DATA = \
	deploy/templates/apache deploy/templates/apache-fcgid \
	deploy/templates/apache-fcgid-minimal \
	deploy/templates/apache-minimal deploy/templates/apache-scgi \
	deploy/templates/apache-scgi-minimal \
	deploy/templates/caddy deploy/templates/caddy-minimal \
	deploy/templates/container deploy/templates/container-minimal deploy/templates/systemd \
	deploy/templates/systemd-minimal deploy/templates/systemd-socket \
	deploy/templates/haproxy deploy/templates/haproxy-minimal \
	deploy/templates/lighttpd deploy/templates/lighttpd-minimal \
	deploy/templates/lighttpd-scgi deploy/templates/lighttpd-scgi-minimal \
	deploy/templates/nginx deploy/templates/nginx-minimal deploy/templates/nginx-scgi \
	deploy/templates/nginx-scgi-minimal
dist_noinst_DATA += \
	deploy/apache/README.md deploy/apache/fcgid.conf deploy/apache/fcgid-minimal.conf \
	deploy/apache/minimal.conf deploy/apache/scgi.conf deploy/apache/scgi-minimal.conf \
	deploy/apache/snacgi.conf \
	deploy/caddy/Caddyfile deploy/caddy/README.md deploy/caddy/minimal.Caddyfile \
	deploy/haproxy/README.md deploy/haproxy/haproxy.cfg deploy/haproxy/minimal.cfg \
	deploy/lighttpd/README.md deploy/lighttpd/minimal.conf deploy/lighttpd/scgi.conf \
	deploy/lighttpd/scgi-minimal.conf deploy/lighttpd/snacgi.conf \
	deploy/nginx/README.md deploy/nginx/minimal.conf deploy/nginx/scgi.conf \
	deploy/nginx/scgi-minimal.conf deploy/nginx/snacgi.conf
EXTRA_DIST += deploy/print-all

deploy-files: src/snacgi
	$(srcdir)/deploy/print-all src/snacgi $(srcdir)/deploy
.PHONY: deploy-files

# Units of systemd, and a configuration to begin with.
systemdsystemunit_DATA = deploy/systemd/snacgi.service
dist_systemdsystemunit_DATA = deploy/systemd/snacgi.socket
deploy/systemd/snacgi.service: deploy/templates/systemd Makefile
	$(AM_V_GEN)$(MKDIR_P) deploy/systemd && sed -e 's,[@]SNACGI[@],$(bindir)/snacgi,g' \
		-e 's,[@]CONF[@],$(sysconfdir)/snacgi/snacgi.conf,g' -e 's,[@]START[@],310,' -e 's,[@]STOP[@],90,' \
		-e 's,[@]REQUIRES[@],\nRequires=snacgi.socket,' -e 's,[@]RIGHTS[@],,' \
		-e 's,[@]ALSO[@],\nAlso=snacgi.socket,' $(srcdir)/deploy/templates/systemd >$@.tmp && mv $@.tmp $@
CLEANFILES += deploy/systemd/snacgi.service
dist_noinst_DATA += deploy/systemd/README.md deploy/systemd/minimal.service deploy/systemd/snacgi-scgi.socket
examplesdir = $(docdir)/examples
dist_examples_DATA = deploy/snacgi.conf

EXTRA_DIST += deploy/container/steps
dist_noinst_DATA += deploy/container/Dockerfile deploy/container/README.md deploy/container/minimal.Dockerfile deploy/container/snacgi.conf
