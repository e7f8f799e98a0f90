# SPDX-License-Identifier: MIT
"""What the documentation says is there is there, and what is there it says."""

from __future__ import annotations

import ast
import inspect
import re
import runpy
import subprocess
import sys
from typing import Any

import pytest
from docs import TOP, page, read, schema, section

SNACGI = "man/snacgi.8"
PYTHON = "man/snacgi-python.7"
CONF = "man/snacgi.conf.5"
ARCHITECTURE = "doc/architecture.md"
SECURITY = "SECURITY.md"
TEXTS = ["README.md", "HACKING", "CHANGES", SECURITY, ARCHITECTURE]
PAGES = [SNACGI, PYTHON, CONF, "man/snacgi.3"]


# ---- the command line ------------------------------------------------------------


def options_of_the_code() -> set[str]:
    table = re.search(r"static const struct option options\[\] = \{(.*?)^\};", read("src/server/cli.c"), re.M | re.S)
    assert table
    return set(re.findall(r'\{ "([a-z-]+)"', table[1]))


def test_every_option_is_in_the_manual_and_none_besides() -> None:
    manual = set(re.findall(r"^\.It (?:Fl \w , )?Fl -([a-z-]+)", read(SNACGI), re.M))
    assert manual == options_of_the_code()


def test_short_options() -> None:
    given = re.search(r'getopt_long\(argc, argv, ":([a-z:]+)"', read("src/server/cli.c"))
    assert given
    manual = set(re.findall(r"^\.It Fl (\w) ,", read(SNACGI), re.M))
    assert manual == set(given[1].replace(":", ""))


def test_every_option_is_in_the_usage_and_the_synopsis() -> None:
    usage = read("src/server/cli.c").split("static const char usage[] =")[1].split(";\n\n")[0]
    synopsis = section(SNACGI, "SYNOPSIS")
    for option in options_of_the_code():
        assert f"--{option}" in usage, option
        short = re.search(rf"^\.It Fl (\w) , Fl -{option}\b", read(SNACGI), re.M)
        assert f"--{option}" in synopsis or (short and f"-{short[1]}" in synopsis) or option == "help", option


def test_every_command() -> None:
    commands = re.search(r"commands\[\] = \{ ([^}]*) \}", read("src/server/cli.c"))
    assert commands
    assert set(re.findall(r'"(\w+)"', commands[1])) == set(re.findall(r"^\.It Cm (\w+)$", read(SNACGI), re.M))


def test_defaults_of_options_are_the_schemas() -> None:
    text, keys = read("src/server/cli.c"), schema()
    for option, key in re.findall(r'\{ OPT_\w+, "--([a-z-]+)", "([\w.]+)" \}', text):
        about = re.search(rf"^\.It Fl -{option} .*?(?=^\.It|^\.El)", read(SNACGI), re.M | re.S)
        assert about and key in keys, option
        said = re.search(r"^Default: (\d+)\.$", about[0], re.M)
        if said:
            assert said[1] == keys[key], option


def test_every_signal() -> None:
    handled = re.search(r"handled\[\] = \{ ([^}]*) \}", read("src/server/signals.c"))
    assert handled
    text = section(SNACGI, "SIGNALS")
    for name in handled[1].split(", "):
        assert name in text, name


SENT = re.compile(r"\b(?:sn_exchange_reject|set_verdict|sn_sink_error)\(x, ([45]\d\d)|verdict = (?:[^;]*: )?([45]\d\d);|"
                  r"sn_response_error_page\(&?res, ([45]\d\d)|return ([45]\d\d);")


def test_every_status_of_the_servers_own() -> None:
    said = set(re.findall(r"^\.It (\d\d\d)$", read(SNACGI), re.M))
    sent = {status for folder in ("server", "pyrt", "transport", "http", "native") for path in (TOP / "src" / folder).rglob("*.c")
            for found in SENT.findall(path.read_text(encoding="utf-8")) for status in found if status}
    assert {"400", "404", "405", "408", "411", "413", "431", "503", "504"} <= sent
    assert sent <= said, sent - said


# ---- the configuration --------------------------------------------------------------


def test_every_key_is_in_the_manual() -> None:
    text = page(CONF)
    for key in schema():
        assert re.search(rf"(?<![\w.]){re.escape(key)}(?![\w])|^ +{re.escape(key.rpartition('.')[2])}\b", text, re.M), key


def test_no_other_key_is_named() -> None:
    """A key that was renamed must not live on in a manual."""
    keys = schema()
    groups = {key.partition(".")[0] for key in keys if "." in key}
    for name in PAGES + TEXTS:
        for group, leaf in re.findall(rf"(?<![\w/.-])({'|'.join(sorted(groups))})\.([a-z_]+)\b(?![(/])", read(name)):
            if leaf in ("c", "h", "conf", "py"):
                continue
            assert f"{group}.{leaf}" in keys, f"{name}: {group}.{leaf}"


def test_limits_of_architecture_are_the_schemas() -> None:
    keys = schema()
    rows = re.findall(r"^\| `([\w.]+)`[^|]*\| ([^|]+?) \|", read(ARCHITECTURE), re.M)
    checked = 0
    for key, said in rows:
        if key not in keys:
            continue
        default = keys[key]
        if key.startswith("timeouts."):
            default = default.removesuffix(".0") + " s"
        assert said == default or said.startswith(default + " "), f"{key}: {said}, and it is {default}"
        checked += 1
    assert checked >= 15
    for key in keys:
        if key.startswith(("limits.", "timeouts.")):
            assert key in [k for k, _ in rows], f"{key} is not in the table of limits"


# ---- Python -----------------------------------------------------------------------------


def test_every_export_is_in_the_manual() -> None:
    import snacgi

    text = page(PYTHON)
    for name in snacgi.__all__:
        assert name.strip("_") in text, name


@pytest.mark.parametrize("kind, title", [("Request", "REQUEST"), ("Response", "RESULTS")])
def test_every_attribute_is_in_the_manual(kind: str, title: str) -> None:
    import snacgi

    text = section(PYTHON, title)
    for name in dir(getattr(snacgi, kind)):
        if not name.startswith("_"):
            assert re.search(rf"\b{name}\b", text), f"{kind}.{name}"


def test_no_other_attribute_of_a_request_is_named() -> None:
    import snacgi

    for name in re.findall(r"\brequest\.([a-z_]+)", page(PYTHON) + read("README.md")):
        assert hasattr(snacgi.Request, name), name


def test_signature_of_route() -> None:
    import snacgi

    parameters = [p for p in inspect.signature(snacgi.route).parameters.values() if p.kind is not p.VAR_KEYWORD]
    said = re.search(r"@route\(([^)]*)\)", section(PYTHON, "ROUTES"))
    assert said
    assert " ".join(said[1].split()) == ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters)
    for p in parameters:
        assert re.search(rf"^\.It Va {p.name}$", read(PYTHON), re.M), p.name


def test_every_converter() -> None:
    table = re.search(r"converters\[\] = \{(.*?)^\};", read("src/route/rule.c"), re.M | re.S)
    assert table
    for name in re.findall(r'\{ "(\w+)"', table[1]):
        assert re.search(rf"<{name}[(:]", section(PYTHON, "ROUTES")), name


RESULTS: list[tuple[str, Any]] = [
    ("dict", {"a": 1}), ("list", [1]), ("int", 1), ("float", 1.5), ("bool", True),
    ("str", "x"), ("bytes", b"x"), ("bytearray", bytearray(b"x")), ("memoryview", memoryview(b"x")), ("None", None),
]


@pytest.mark.parametrize("name, value", RESULTS, ids=[n for n, _ in RESULTS])
def test_results(name: str, value: Any) -> None:
    import _snacgi
    import snacgi

    head, _ = _snacgi.answer(snacgi.Request(), value, "handler")
    rows = re.findall(r"^\.It ([\w, ]+) Ta (.*)$", read(PYTHON), re.M)
    said = next(what for names, what in rows if name in names.split(", "))
    text = head.decode("latin-1")
    if name == "None":
        assert "204" in said and "Status: 204" in text
    else:
        assert f"Content-Type: {said.removeprefix('JSON, ')}\r\n" in text


def test_not_json() -> None:
    import _snacgi
    import snacgi

    head, _ = _snacgi.answer(snacgi.Request(), {"x": float("nan")}, "handler")
    assert head.startswith(b"Status: 500")
    assert "NaN and Infinity are not JSON" in page(PYTHON)


# ---- tests, files, programs ------------------------------------------------------------------


def functions(path: str) -> set[str]:
    text = read(path)
    if path.endswith(".py"):
        return {n.name for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return set(re.findall(r"cmocka_unit_test\w*\((\w+)", text))


NAMED = sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", read(ARCHITECTURE) + read("doc/reliability.md") + read(SECURITY))))


def test_tests_are_named() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("path, name", NAMED, ids=[f"{p}::{n}" for p, n in NAMED])
def test_named_test_exists(path: str, name: str) -> None:
    assert (TOP / path).is_file(), path
    assert name in functions(path), f"{path} has no test {name}"


@pytest.mark.parametrize("number", range(1, 6))
def test_each_promise_has_a_test(number: int) -> None:
    text = re.search(rf"^\*\*{number}\. .*?(?=^\*\*\d|^Isolation)", read(ARCHITECTURE), re.M | re.S)
    assert text and "::" in text[0]


@pytest.mark.parametrize("name", TEXTS)
def test_named_files_exist(name: str) -> None:
    text = re.sub(r"```.*?```", "", read(name), flags=re.S)
    for path in re.findall(r"(?<![\w/.-])((?:src|python|tests|examples|deploy|doc|man|include)/[\w./-]*\w)", text):
        if path == "python/app.py" or "NAME" in path or "MODULE" in path:
            continue  # the reader's own
        if path.endswith(".so") or path == "src/snacgi":
            continue  # built
        assert (TOP / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("name", ["README.md", "HACKING", ARCHITECTURE])
def test_named_short_files_exist(name: str) -> None:
    """`server/conn.c` and the like, below src."""
    for path in re.findall(r"`((?:base|http|queue|conf|transport|route|native|pyrt|server)/[\w/]*(?:\.[ch])?)`", read(name)):
        assert (TOP / "src" / path).exists(), f"{name}: {path}"


def test_manuals_that_readme_names_exist() -> None:
    named = re.findall(r"`man (\d) ([\w.-]+)`", read("README.md"))
    assert len(named) >= 4
    for number, name in named:
        assert (TOP / "man" / f"{name}.{number}").is_file(), name


def test_cross_references() -> None:
    """A page of ours that another one sends the reader to is there."""
    for name in PAGES:
        for page_name, number in re.findall(r"\.Xr (snacgi[\w.-]*) (\d)", read(name)):
            assert (TOP / "man" / f"{page_name}.{number}").is_file(), f"{name}: {page_name}({number})"


def test_packages_of_readme_are_those_of_configure() -> None:
    said = set(re.findall(r"[\w-]+", re.search(r"apt-get install (.*?)\n\.", read("README.md"), re.S)[1]))  # type: ignore[index]
    for package in re.findall(r"apt-get install ([\w-]+)", read("configure.ac")):
        assert package in said, package


def test_configure_switches() -> None:
    help_text = subprocess.run([str(TOP / "configure"), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for switch in re.findall(r"--enable-[a-z-]+", read("HACKING")):
        assert switch in help_text, switch


def lint() -> dict[str, Any]:
    folder = str(TOP / "tests" / "lint")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(f"{folder}/includes.py")
    finally:
        sys.path.remove(folder)


@pytest.mark.parametrize("name", ["HACKING", ARCHITECTURE])
def test_layers_are_the_lints(name: str) -> None:
    below: dict[str, set[str]] = lint()["BELOW"]
    drawn: dict[str, set[str]] = {}
    for folders, what in re.findall(r"^ *([a-z][a-z ]*?) +(?:<-|←) (.*)$", read(name), re.M):
        for folder in folders.split():
            drawn[folder] = set(below) - {"main.c", "server"} if "everything" in what else set(what.split(",")[0].split())
    assert drawn == {folder: what for folder, what in below.items() if folder not in ("base", "main.c")}
