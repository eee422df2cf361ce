#!/bin/sh
# The first process of the guest: mounts, then runs /out/start on the machine's own root.
export PATH=/bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for module in @MODULES@; do modprobe $module || echo "module $module not loaded"; done
options=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o $options,cache=loose,ro host /ro
mount -t tmpfs -o size=1g t /rw; mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work o /new
for folder in proc sys dev; do mount --move /$folder /new/$folder; done
mkdir -p /new/dev/pts /new/dev/shm /new/out
mount -t devpts d /new/dev/pts; mount -t tmpfs t /new/dev/shm; mount -t tmpfs r /new/run
mount -t 9p -o $options out /new/out
chroot /new /bin/bash /out/start; echo $? > /new/out/rc
sync; poweroff -f
