# Needs nothing built.
TESTS += tests/lint/run
dist_check_SCRIPTS += tests/lint/run
EXTRA_DIST += \
	tests/lint/compiles.py tests/lint/distributed.py tests/lint/heads.py tests/lint/includes.py tests/lint/lint.py \
	tests/lint/man.py tests/lint/strict.py tests/lint/tree.py
