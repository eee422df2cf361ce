"""A bleak backend over bumble: the bridge's code runs unchanged on BlueZ or on this.

bleak takes `backend=` on BleakClient and BleakScanner. With a Radio, an HCI transport
of our own (socket, USB dongle, serial line) takes the place of the system's stack.
"""
