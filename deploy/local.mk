dist_noinst_DATA += \
	deploy/apache/README.md deploy/apache/snacgi.conf \
	deploy/caddy/Caddyfile deploy/caddy/README.md \
	deploy/nginx/README.md deploy/nginx/minimal.conf deploy/nginx/scgi.conf \
	deploy/nginx/snacgi.conf deploy/nginx/snacgi_params
