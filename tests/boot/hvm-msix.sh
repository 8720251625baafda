# Scenario: a guest kernel of our own walks the MSI-X tables of both devices. Its transcript is in Xen's log; the
# device model's trace tells which of its reads Xen did not serve itself.

trace=/tmp/trace

# assign: takes both devices from their drivers, so that a guest can have them.
assign() {
	xl pci-assignable-add 00:04.0 && xl pci-assignable-add 00:05.0
}

# walk: creates the guest and waits until it is gone.
walk() {
	cat >/tmp/walker.cfg <<-END
		name = "walker"
		type = "hvm"
		memory = 64
		vcpus = 2
		kernel = "/guest/walker"
		vga = "none"
		tsc_mode = "native"
		pci = ["00:04.0", "00:05.0"]
		device_model_args = ["-D", "$trace", "-trace", "cpu_ioreq_move", "-trace", "cpu_ioreq_pio_write_reg"]
	END
	xl create /tmp/walker.cfg || return 1
	until_true 3000 walker_gone
}

walker_gone() {
	! xl list walker 2>/dev/null
}

# reads PHASE: how many reads of registers reached the device model in a phase of the walk. The guest opens a phase by
# writing its number to port 0x80.
reads() {
	awk -v phase="data=$1" '
		/cpu_ioreq_pio_write_reg/ && / port=0x80 / { here = index($0, " " phase " ") > 0; marks += here }
		/cpu_ioreq_move/ && / dir=1 / && here { reads++ }
		END { if (!marks) exit 1; print reads + 0 }
	' "$trace"
}

phase 120 "dom0: the devices leave their drivers"
check assign assign
phase 120 "the walker starts"
check walker-ends walk
phase 60 "who served the reads"
for number in 0x10 0x11 0x12 0x13 0x14 0x15 0x20 0x21; do
	check "reads-of-phase-$number" reads $number
done
