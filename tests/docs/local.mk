# The documentation held to the code; each test is counted by itself (TAP).
TESTS += tests/docs/run
dist_check_SCRIPTS += tests/docs/run
EXTRA_DIST += tests/docs/docs.py tests/docs/test_deploy.py tests/docs/test_dependencies.py tests/docs/test_examples.py tests/docs/test_facts.py tests/docs/test_from_flask.py
