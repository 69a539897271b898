# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The Python package. It is built and tested in a virtual environment of the cache, which the guest sees as well.

PYTHON_VENV=$CACHE/venv-python

python_have_venv() { cmp -s "$ROOT/clients/python/requirements.txt" "$PYTHON_VENV/requirements.txt"; }

python_get_venv() { # STEP
	must "$1: maturin, pytest, numpy and mypy" python-venv.log network deps_venv "$PYTHON_VENV" "$ROOT/clients/python/requirements.txt"
}

# Makes the wheel, and installs it unless it is installed already: a guest may be using it, since host runs beside selftest.
# Nothing is downloaded. It replaces that of any other clone.
python_wheel() {
	local folder=$CACHE/clients-python installed=$PYTHON_VENV/installed.whl
	mkdir -p "$folder" && (
		flock 7 && rm -rf "$folder/wheels" && cd "$ROOT" || exit
		# With a fixed date, the same sources result in the same wheel.
		SOURCE_DATE_EPOCH=1000000000 "$PYTHON_VENV/bin/maturin" build --release --offline --locked \
			--manifest-path clients/python/Cargo.toml --interpreter "$PYTHON_VENV/bin/python" --target-dir "$folder" \
			--out "$folder/wheels" || exit
		cmp -s "$folder"/wheels/*.whl "$installed" && exit
		rm -f "$installed"
		"$PYTHON_VENV/bin/pip" install -q --disable-pip-version-check --no-index --no-deps --force-reinstall "$folder"/wheels/*.whl &&
			cp "$folder"/wheels/*.whl "$installed"
	) 7>"$folder/lock"
}

# Builds and installs the package, for its tests.
python_need() { # STEP
	python_have_venv || python_get_venv "$1"
	must "$1: clients/python" python-wheel.log "the first error is in the log" python_wheel
}

# python_pytest FOLDER: prints the command that runs the tests there. It leaves nothing in the clone.
python_pytest() {
	echo "env PYTHONDONTWRITEBYTECODE=1 '$PYTHON_VENV/bin/python' -m pytest -q '$ROOT/clients/python/tests/$1'"
}

# Prints the commands that run those that need a device, in the guest.
python_run_device() {
	echo "VFIFO_DEVICE=/dev/vfifo0 timeout $((600 * GUEST_SCALE)) $(python_pytest device) >programs/python 2>&1; echo \$? >python.status"
}

# The tests that need no device.
python_host() {
	local status=0 from
	python_have_venv || python_get_venv host
	check "clients/python: rustfmt" deps_cargo fmt --manifest-path "$ROOT/clients/python/Cargo.toml" --check
	host_clippy clients/python
	check "clients/python: the wheel" python_wheel
	from=$SECONDS
	logged "host: pytest in clients/python" pytest.log bash -c "$(python_pytest host)" || status=$?
	count_pytest "pytest, clients/python" "$status" "$LOGS/pytest.log" $((SECONDS - from)) || COUNT_FAILED=1
}
