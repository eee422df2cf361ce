# Runs in the guest: the system's Bluetooth as a gateway has it, then the tests.
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/run/home LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1
ip link set lo up; hostname guest; mkdir -p $HOME /run/dbus /run/lock
rm -rf /var/lib/bluetooth/*  # bonds of this machine
dbus-uuidgen --ensure
dbus-daemon --system --fork
/usr/libexec/bluetooth/bluetoothd -n -d > /out/bluetoothd.log 2>&1 &
owned="dbus-send --system --print-reply --dest=org.freedesktop.DBus / \
  org.freedesktop.DBus.NameHasOwner string:org.bluez"
until $owned | grep -q true; do sleep 0.2; done
btmon -w /out/trace.snoop > /dev/null 2>&1 &
# The settings of other tests, and plug-ins that these do without, cost half a minute.
exec .venv/bin/python -m pytest -o addopts= --strict-markers -m radio -v --tb=short \
  --durations=0 --confcutdir tests/radio -p no:cacheprovider -p no:xdist \
  -p no:hypothesispytest -p no:playwright tests/radio "$@" > /out/tests.log 2>&1
