# Scenario: dom0 removes a NIC while a guest kernel of our own walks its MSI-X table, and neither the guest, nor its device model,
# nor xl is told. The guest has the disk as well, and sets its interrupts up again and again: they get the IRQs that the NIC had.

device=0000:00:04.0

# assign FUNCTION...
assign() {
	for function; do
		xl pci-assignable-add "$function" || return 1
	done
}

# create FUNCTION...: the guest has these.
create() {
	: >/tmp/seen
	create_guest prodder 64 /guest/msix-prodder -e <<-CONFIG || return 1
		pci = [$(printf ', "%s"' "$@" | cut -c 3-)]
	CONFIG
	until_true 2400 walked 2
}

# seen: takes what Xen's log has got since this was last asked. The log is a ring, which may not be left to fill. Asks seldom,
# because that costs much in an emulated machine.
seen() {
	sleep 1.5
	xl dmesg -c >>/tmp/seen
}

# walked COUNT: the guest has said so often, since /tmp/seen was last emptied, that it walks on.
walked() {
	seen
	[ "$(grep -c "prodder: walks on" /tmp/seen)" -ge "$1" ]
}

# walks_on: the guest walks through the table at least sixteen times from now on.
walks_on() {
	seen
	: >/tmp/seen
	until_true 2400 walked 3
}

# bound COUNT: so many IRQs of MSIs are bound to pirqs of the guest, as debug key i has it.
bound() {
	seen
	xl debug-keys i
	xl dmesg -c >/tmp/irqs
	[ "$(grep -c 'PCI-MSI.* d1:' /tmp/irqs)" = "$1" ]
}

# all_bound COUNT: so many are at some time. The guest is without IRQs of the disk while it sets them up.
all_bound() {
	until_true 100 bound "$1" && return
	echo "$(grep -c 'PCI-MSI.* d1:' /tmp/irqs) bound"
	tail -n 12 /var/log/xen/qemu-dm-prodder.log
	return 1
}

# gone: Linux removes the function, and tells Xen.
gone() {
	echo 1 >"/sys/bus/pci/devices/$device/remove" || return 1
	! exists "/sys/bus/pci/devices/$device" || return 1
	seen
	grep -q "PCI remove device $device" /tmp/seen
}

given="$device $(pci_of nvme)"
phase 120 "dom0: the devices leave their drivers"
check assign assign $given
phase 300 "the guest is made, and walks"
check create create $given
check bound all_bound 21
phase 300 "the function is removed"
check gone gone
check walks-on walks_on
phase 300 "the IRQs that it had are the disk's"
check bound-again all_bound 16
