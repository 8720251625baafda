# Scenario: a guest kernel of our own walks the MSI-X tables of both devices. Its transcript is in Xen's log; the
# device model's trace tells which of its reads Xen did not serve itself.

trace=/tmp/trace

# assign: takes both devices from their drivers, so that a guest can have them.
assign() {
	xl pci-assignable-add 00:04.0 && xl pci-assignable-add 00:05.0
}

create() {
	create_guest walker 64 /guest/msix-walker <<-CONFIG
		pci = ["00:04.0", "00:05.0"]
		device_model_args = ["-D", "$trace", "-trace", "cpu_ioreq_move", "-trace", "cpu_ioreq_pio_write_reg"]
	CONFIG
}

# walk: waits until the guest is gone; its own check says whether it came to its end. Looks seldom, because that costs
# much in an emulated machine.
walk() {
	while xl list walker >/tmp/walker 2>&1; do
		sleep 2
	done
	cat /tmp/walker
	grep -q "invalid domain identifier" /tmp/walker
}

# reads: how many reads of registers reached the device model in each phase of the walk. The guest marks a phase by writing
# its number to the device model's configuration port; what is under 16 and ff is not of interest.
reads() {
	awk '
		/cpu_ioreq_pio_write_reg/ && / port=0x510 / {
			match($0, / data=0x7f[0-9a-f][0-9a-f]/)
			phase = RSTART ? substr($0, RSTART + 10, 2) : ""
			if (phase == "16" || phase == "ff") phase = ""
			if (phase != "" && !(phase in count)) count[phase] = 0
		}
		/cpu_ioreq_move/ && / dir=1 / && phase in count { count[phase]++ }
		END {
			for (phase in count) { print "@@ count reads-of-phase-0x" phase, count[phase]; phases++ }
			exit !phases
		}
	' "$trace" >/tmp/reads && echo "$(wc -l </tmp/reads) phases"
}

phase 120 "dom0: the devices leave their drivers"
check assign assign
phase 300 "the walker is made"
check create create
phase 300 "the walker starts"
check walker-ends walk
phase 60 "who served the reads"
check trace reads
cat /tmp/reads
