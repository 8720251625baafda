# Scenario: dom0 removes a function while a guest kernel of our own walks its MSI-X table, and does not tell the guest, its device
# model or xl. The guest is not destroyed: to unbind an interrupt that is gone is a BUG in irq.c, so it runs until the power is off.

device=0000:00:04.0

create() {
	xl dmesg -c >/tmp/dmesg
	create_guest prodder 64 /guest/msix-prodder -e <<-CONFIG || return 1
		pci = ["$device"]
	CONFIG
	until_true 2400 walked 2
}

# walked COUNT: the guest has said so often that it walks on. Looks seldom, because that costs much in an emulated machine.
walked() {
	sleep 1.5
	[ "$(xl dmesg | grep -c "prodder: walks on")" -ge "$1" ]
}

# gone: Linux removes the function, and tells Xen.
gone() {
	echo 1 >"/sys/bus/pci/devices/$device/remove" || return 1
	! exists "/sys/bus/pci/devices/$device" || return 1
	xl dmesg | grep -q "PCI remove device $device"
}

# walks_on: the guest walks through the table at least sixteen times from now on.
walks_on() {
	walks_before=$(xl dmesg | grep -c "prodder: walks on")
	until_true 2400 walked $((walks_before + 3))
}

phase 120 "dom0: the device leaves its driver"
check assign xl pci-assignable-add "$device"
phase 300 "the guest is made, and walks"
check create create
phase 300 "the function is removed"
check gone gone
check walks-on walks_on
