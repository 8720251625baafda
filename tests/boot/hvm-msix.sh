# Scenario: a guest kernel of our own walks the MSI-X tables of both devices. Its transcript is in Xen's log; the
# device model's trace tells which of its reads Xen did not serve itself.

trace=/tmp/trace

nic=/sys/bus/pci/devices/0000:00:04.0
# What the NIC's table has in bits 31:1 of its vector controls, which are the device's.
own=0x5a5a0000

# each_control COMMAND...: runs a command with the address of the vector control of each of the NIC's entries.
each_control() {
	table=$(sed -n 4p "$nic"/resource | cut -d' ' -f1)
	for entry in 0 1 2 3 4; do
		"$@" $((table + 16 * entry + 12)) || return 1
	done
}

put_own() {
	devmem "$1" 32 $((own | 1))
}

# set_own_bits: the table is not in use, so dom0 may write it.
set_own_bits() {
	echo 0000:00:04.0 >"$nic"/driver/unbind
	echo 1 >"$nic"/enable
	each_control put_own
}

# look CONTROL: counts the vector controls that are looked at, and those whose own bits are not there. A function that
# decodes no memory answers all ones.
look() {
	value=$(devmem "$1" 32)
	[ "$value" = 0xFFFFFFFF ] && return
	looks=$((looks + 1))
	[ $((value & ~1)) = $((own)) ] || lost=$((lost + 1))
}
looks=0
lost=0

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
# much in an emulated machine, and at the vector controls more seldom.
walk() {
	turn=0
	while xl list walker >/tmp/walker 2>&1; do
		[ $((turn % 8)) = 0 ] && each_control look
		turn=$((turn + 1))
		sleep 2
	done
	echo $looks $lost >/tmp/looks
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
check own-bits set_own_bits
check assign assign
phase 300 "the walker is made"
check create create
phase 300 "the walker starts"
check walker-ends walk
phase 60 "who served the reads"
check trace reads
cat /tmp/reads
# `walk` ran in a shell of its own.
read -r looks lost </tmp/looks
check own-bits-seen [ "$looks" -gt 0 ]
echo "@@ count own-bits-lost $lost"
