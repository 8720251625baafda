# Scenario: HVM guests with NIC and NVMe disk passed through, made and destroyed without a trace.

. /guests.sh

# attach: the guest stands still meanwhile. It would look at a device that the device model is still busy with.
attach() {
	xl pause "$guest" || return 1
	for device in $devices; do
		xl pci-attach "$guest" "$device" || return 1
	done
	xl unpause "$guest"
}

give_devices
first_guest full

phase 300 "guest 0: detach and re-attach"
check hvm-detach detach
check hvm-empty guest_comes_to 120 empty
check hvm-attach attach
check hvm-done guest_comes_to 120 done
check hvm-destroy-0 release

# Five guests of our own, which start fast and hold more interrupts than Linux. They are destroyed with their devices and
# interrupts, the last of them while it stands still.
for cycle in 1 2 3 4 5; do
	phase 150 "guest $cycle of 5: create, hold, destroy"
	guest=guest$cycle
	check hvm-hold-$cycle hold
	[ $cycle = 5 ] && key M holding && xl pause "$guest"
	check hvm-destroy-$cycle destroy
done
keys after
