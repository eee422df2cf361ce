"""Virtual peripherals that play a plan over a Bluetooth link between processes."""
