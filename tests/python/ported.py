# SPDX-License-Identifier: MIT
"""An ordinary Flask application that answers JSON. Its import line was
from flask import Blueprint, Flask, abort, current_app, g, jsonify, make_response, redirect, request, url_for
"""

from snacgi import App as Flask, Blueprint, abort, current_app, g, jsonify, make_response, redirect, request, url_for

app = Flask(__name__)
app.config.from_mapping(PAGE=2, NAME="notes")

with app.app_context():
    g.made = current_app.config["NAME"]
    app.config["MADE"] = g.made + "!"

ended = []

notes = {1: {"id": 1, "text": "first"}, 2: {"id": 2, "text": "second"}, 3: {"id": 3, "text": "third"}}


@app.before_request
def load_user():
    g.user = request.headers.get("X-User", "anonymous")


@app.after_request
def add_header(response):
    response.headers["X-User"] = g.user
    return response


@app.teardown_appcontext
def end(exc):
    ended.append(g.user)


@app.route("/about")
def about():
    response = jsonify(made=current_app.config["MADE"], endpoint=request.endpoint, base=request.base_url, root=request.url_root,
                       path=request.full_path, x=request.values.getlist("x"), agent=str(request.user_agent),
                       kind=request.accept_mimetypes.best_match(["text/html", "application/json"]))
    response.cache_control.max_age = 60
    response.set_etag("v1")
    return response.make_conditional(request)


@app.route("/private")
def private():
    auth = request.authorization
    if auth is None or auth.type != "basic" or auth.password != "sesame":
        abort(401)
    return {"hello": auth.username}


@app.errorhandler(404)
def not_found(error):
    return jsonify(error="not found", path=request.path), 404


@app.route("/")
def index():
    return jsonify({"notes": url_for("notes.list_notes"), "user": g.user})


bp = Blueprint("notes", __name__, url_prefix="/notes")


@bp.route("/")
def list_notes():
    page = request.args.get("page", 1, type=int)
    size = app.config["PAGE"]
    chosen = list(notes.values())[(page - 1) * size : page * size]
    return jsonify(chosen)


@bp.route("/", methods=["POST"])
def create_note():
    data = request.get_json()
    if not data or "text" not in data:
        abort(400, description="text is required")
    note = {"id": max(notes, default=0) + 1, "text": data["text"]}
    notes[note["id"]] = note
    response = make_response(jsonify(note), 201)
    response.headers["Location"] = url_for(".get_note", note_id=note["id"])
    return response


@bp.route("/<int:note_id>")
def get_note(note_id):
    if note_id not in notes:
        abort(404)
    return notes[note_id]


@bp.route("/<int:note_id>", methods=["PUT", "DELETE"])
def change_note(note_id):
    if request.method == "DELETE":
        notes.pop(note_id, None)
        return "", 204
    notes[note_id] = {"id": note_id, "text": request.json["text"]}
    return jsonify(notes[note_id])


@bp.route("/latest")
def latest():
    return redirect(url_for("notes.get_note", note_id=max(notes)))


@app.route("/login", methods=["POST"])
def login():
    response = jsonify(ok=True)
    response.set_cookie("session", "abc", max_age=3600, httponly=True, samesite="Lax")
    return response


app.register_blueprint(bp)

if __name__ == "__main__":
    app.run(debug=True)
