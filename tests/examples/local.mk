# The examples' own tests, and each example behind a real nginx; counted one by one (TAP).
TESTS += tests/examples/run
dist_check_SCRIPTS += tests/examples/run
EXTRA_DIST += \
	tests/examples/conftest.py \
	tests/examples/page.py \
	tests/examples/served.py \
	tests/examples/test_analysis_service.py \
	tests/examples/test_plain.py \
	tests/examples/test_todo_service.py \
	tests/examples/test_tutorial.py
