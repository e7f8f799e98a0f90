# SPDX-License-Identifier: MIT
"""Rules with arguments, slashes at their end, defaults."""

from snacgi import get, route, url_for, url_map
from snacgi.routing import BaseConverter


@get("/slash/<name>/")
def slashed(name):
    return {"name": name, "url": url_for("slashed", name=name)}


@get("/lax", strict_slashes=False)
async def lax(request):
    return {"path": request.path}


@route("/pages/", defaults={"page": 1})
@route("/pages/<int(min=2, max=99):page>")
def pages(page):
    return {"page": page}


@get("/where")
def where(request):
    return {"addr": request.remote_addr, "scheme": request.scheme, "host": request.host, "url": request.url,
            "here": url_for("where"), "external": url_for("where", _external=True), "raw": request.environ.get("REMOTE_ADDR"),
            "endpoint": request.endpoint, "root": request.url_root, "root_path": request.root_path}


def told(request):
    return b"", {"X-Endpoint": request.endpoint, "X-Methods": ",".join(request.url_rule.methods)}


get("/told/<int:n>", endpoint="got")(told)
route("/told/<int:n>", methods=["HEAD", "PUT"], endpoint="headed")(told)
get("/gotten", endpoint="gotten")(told)


class Hex(BaseConverter):
    regex = "[0-9a-f]+"

    def to_python(self, value):
        return int(value, 16)


url_map.converters["hex"] = Hex


@get("/hex/<hex:n>")
async def hexadecimal(n):
    return {"n": n}
