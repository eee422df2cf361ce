# Runs in the guest: the system's Bluetooth as a gateway has it, and meanwhile the tests.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run/home LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1
ip link set lo up; hostname guest; mkdir -p $HOME /run/dbus /run/lock
rm -rf /var/lib/bluetooth/*  # bonds of this machine
# The settings of other tests, and plug-ins that these do without, cost half a minute.
.venv/bin/python -m pytest -o addopts= --strict-markers -m radio -v --tb=short \
  --durations=0 --confcutdir tests/radio -p no:cacheprovider -p no:xdist -p no:anyio \
  -p no:hypothesispytest -p no:playwright -p no:pytest_socket -p no:logging \
  tests/radio "$@" > /out/tests.log 2>&1 &
tests=$!
dbus-uuidgen --ensure
dbus-daemon --system --fork
[ -z "$TRACED" ] || btmon -w /out/trace.snoop > /dev/null 2>&1 &
/usr/libexec/bluetooth/bluetoothd -n ${TRACED:+-d} > /out/bluetoothd.log 2>&1 &
wait $tests
