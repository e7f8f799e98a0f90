# pytest over the extension module in plain Python; each test is counted by itself (TAP).
TESTS += tests/python/run
dist_check_SCRIPTS += tests/python/run
EXTRA_DIST += \
	tests/python/conftest.py \
	tests/python/mypy.ini \
	tests/python/test_answer.py tests/python/test_app.py \
	tests/python/test_bad_input.py \
	tests/python/ported.py tests/python/test_ported.py \
	tests/python/test_blueprint.py \
	tests/python/test_client.py \
	tests/python/test_exceptions.py \
	tests/python/test_files.py \
	tests/python/test_forms.py \
	tests/python/test_helpers.py \
	tests/python/test_hooks.py \
	tests/python/test_more.py tests/python/test_json_default.py \
	tests/python/test_json_reader.py \
	tests/python/test_json_writer.py \
	tests/python/test_leaks.py \
	tests/python/openapi_rules.py tests/python/test_openapi.py \
	tests/python/test_pool.py \
	tests/python/test_request.py \
	tests/python/test_response.py \
	tests/python/test_stream.py \
	tests/python/test_response.py tests/python/test_background.py tests/python/test_sse.py tests/python/test_streams.py \
	tests/python/test_routing.py \
	tests/python/test_typed.py tests/extra/test_typed.py \
	tests/python/test_rules.py \
	tests/python/test_typing.py
