# Scenario: a function goes while a guest kernel of our own walks its MSI-X table, and neither the guest, nor its device model, nor
# xl is told. Where there is a NIC with virtual functions it is one of those: first the NIC's SR-IOV control has them all
# disappear, then dom0 removes them. Else it is the machine's NIC, which dom0 removes. The guest has the disk as well then, and sets
# its interrupts up again and again: they get the IRQs that the NIC had. Then the device model unbinds and unmaps the NIC's pirqs,
# which reaches none of the disk's.

sriov=$(pci_of igb) || sriov=
device=0000:00:04.0

# Of the first SR-IOV capability of igb: the low byte of its control register, whose bit 0 enables the functions.
sriov_control=$((0x168))

# make: has the driver make two virtual functions. The second is passed through: its memory lies behind the first's.
make() {
	echo 2 >"/sys/bus/pci/devices/$sriov/sriov_numvfs" || return 1
	until_true 100 exists "/sys/bus/pci/devices/$sriov/virtfn1"
}

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

# disable: has the virtual functions disappear past their driver, which refuses to while one is a guest's.
disable() {
	if echo 0 >"/sys/bus/pci/devices/$sriov/sriov_numvfs"; then
		echo "the driver has given them up"
		return 1
	fi
	printf '\000' | dd of="/sys/bus/pci/devices/$sriov/config" bs=1 seek=$sriov_control conv=notrunc 2>/tmp/dd ||
		{ cat /tmp/dd; return 1; }
	# They do not answer any more.
	[ "$(od -A n -t x2 -N 2 "/sys/bus/pci/devices/$device/config")" = " ffff" ]
}

# gone FUNCTION...: Linux removes the functions, and tells Xen. Virtual ones it removes through their physical function, whose
# driver does so once xen-pciback has given up the one that is the guest's.
gone() {
	if [ -n "$sriov" ]; then
		echo "$device" >/sys/bus/pci/drivers/pciback/unbind || return 1
		echo 0 >"/sys/bus/pci/devices/$sriov/sriov_numvfs" || return 1
	fi
	for function; do
		[ -n "$sriov" ] || echo 1 >"/sys/bus/pci/devices/$function/remove" || return 1
		! exists "/sys/bus/pci/devices/$function" || return 1
	done
	seen
	grep -q "PCI remove device $device" /tmp/seen
}

# let_go: the device model has the guest let go of the function, and unbinds and unmaps its pirqs.
let_go() {
	xl qemu-monitor-command prodder "device_del pci-pt-$(echo "${device#*:}" | tr : _)" || return 1
	until_true 600 lets_go
}

lets_go() {
	seen
	grep -q "prodder: lets go" /tmp/seen
}

# untouched COUNT: Xen has refused so many of these calls, all of one device: none of the disk's, whose interrupts were set up again
# meanwhile.
untouched() {
	sed -n 's/.*\[\(..:..\..\)\] msi_msix_disable: Error.*/\1/p' /var/log/xen/qemu-dm-prodder.log | sort | uniq -c >/tmp/refused
	echo $(cat /tmp/refused)
	[ "$(awk '{ print $1 }' /tmp/refused)" = "$1" ]
}

# back: Linux finds the function, and tells Xen; it is dom0's, whose driver uses it. Else xen-pciback would seize it again.
back() {
	echo "$device" >/sys/bus/pci/drivers/pciback/remove_slot || return 1
	echo 1 >/sys/bus/pci/rescan || return 1
	until_true 100 exists "/sys/bus/pci/devices/$device" || return 1
	nic_up
}

if [ -n "$sriov" ]; then
	phase 300 "dom0: virtual functions"
	check make make
	device=$(basename "$(readlink "/sys/bus/pci/devices/$sriov/virtfn1")")
	removed="$device $(basename "$(readlink "/sys/bus/pci/devices/$sriov/virtfn0")")"
	given=$device
else
	removed=$device
	given="$device $(pci_of nvme)"
fi
phase 120 "dom0: the devices leave their drivers"
check assign assign $given
phase 300 "the guest is made, and walks"
check create create $given
if [ -n "$sriov" ]; then
	phase 300 "the virtual functions disappear"
	check disable disable
	check walks-on-disabled walks_on
else
	check bound all_bound 21
fi
phase 300 "the function is removed"
check gone gone $removed
check walks-on walks_on
if [ -z "$sriov" ]; then
	phase 300 "the IRQs that it had are the disk's"
	check bound-again all_bound 16
	phase 300 "the device model lets go of what the function had"
	check let-go let_go
	check walks-on-without walks_on
	check untouched untouched 5
	check bound-without all_bound 16
	phase 300 "the function comes back to dom0"
	check back back
	check traffic nic_echo 64
	check walks-on-again walks_on
	check bound-beside all_bound 16
fi
