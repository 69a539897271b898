#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The part of the tour that needs system calls: tour.py DEVICE SYSFS-FOLDER"""

import errno
import fcntl
import mmap
import os
import sys

CLEAR = 0x6B01  # _IO('k', 1)
SET_MODE = 0x40046B02  # _IOW('k', 2, int)
device, sysfs = sys.argv[1:]
failed = False


def attribute(name):
    with open(f"{sysfs}/{name}", encoding="ascii") as file:
        return file.read().strip()


def holds(what, truth):
    global failed
    print(f"    [{'ok' if truth else 'FAILED'}] {what}")
    failed = failed or not truth


fd = os.open(device, os.O_RDWR)
capacity = int(attribute("capacity"))

os.write(fd, b"to be forgotten")
fcntl.ioctl(fd, CLEAR)
holds("ioctl _IO('k', 1) clears", attribute("size") == "0")
fcntl.ioctl(fd, SET_MODE, (1).to_bytes(4, sys.byteorder))
mode = attribute("mode")
fcntl.ioctl(fd, SET_MODE, (0).to_bytes(4, sys.byteorder))
holds(f"ioctl _IOW('k', 2, int) sets the mode: {mode}, then {attribute('mode')}",
      mode in ("1", "auto") and attribute("mode") in ("0", "manual"))
try:
    fcntl.ioctl(fd, 0x6B7F)
    holds("an unknown ioctl is refused", False)
except OSError as error:
    holds(f"an unknown ioctl gets {errno.errorcode[error.errno]}", error.errno == errno.ENOTTY)
fcntl.ioctl(fd, CLEAR)

one = mmap.mmap(fd, capacity, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
two = mmap.mmap(fd, capacity, mmap.MAP_SHARED, mmap.PROT_READ)
one[100:104] = b"here"
holds(f"stored through one mapping, seen in another: {two[100:104].decode()}", two[100:104] == b"here")
one[0:capacity] = bytes(capacity)
os.write(fd, b"marker")
place = two.find(b"marker")
holds(f"what write(2) wrote is in the mapping, at byte {place}", place >= 0)
one[place : place + 6] = b"mapped"
got = os.read(fd, 64)
holds(f"what the mapping holds is what read(2) reads: {got.decode()}", got == b"mapped")
one.close()
two.close()
os.close(fd)
sys.exit(failed)
