# Scenario: HVM guests with NIC and NVMe disk passed through, made and destroyed without a trace.

nic=$(pci_of e1000e)
disk=$(pci_of nvme)

# What the guest is waited for arrives here. Waiting costs nothing this way: a loop of commands would keep dom0 so busy
# that an emulated guest hardly runs.
mkfifo /tmp/words
exec 4<>/tmp/words

# listen NUMBER: from now on what this guest says appears here. Apart from create, because a check waits for all that
# its command has started.
listen() {
	guest=guest$1
	guest_log=/var/log/xen/console/guest-$guest.log
	mkdir -p /var/log/xen/console
	: >"$guest_log"
	tail -n +1 -f "$guest_log" | while read -r line; do
		line=${line%$'\r'}
		case $line in
		"@@ "*) echo "$line" ;;
		"@@guest "*) echo "$guest ${line#@@guest }" >&4 ;;
		*) echo "$guest| $line" ;;
		esac
	done &
}

# patiently COMMAND...: tries up to five times. xl gives the device model ten seconds for each device; on a busy host the
# emulated machine may need more, and the next try finds the work done.
patiently() {
	for attempt in 1 2 3 4 5; do
		"$@" && return
		sleep 5
	done
	return 1
}

# create PROOF: starts the guest that is listened to.
create() {
	create_guest "$guest" 384 /guest/vmlinuz -e <<-CONFIG || { cat /var/log/xen/qemu-dm-"$guest".log; return 1; }
		ramdisk = "/guest/initrd"
		cmdline = "console=hvc0 loglevel=5 mitigations=off init_on_alloc=0 cryptomgr.notests proof=$1"
		pci = ["$nic", "$disk"]
		on_poweroff = "preserve"
		on_reboot = "preserve"
		on_crash = "preserve"
	CONFIG
}

# hold: starts the guest that holds interrupts until it is destroyed, and waits until it does.
hold() {
	xl dmesg -c >/tmp/dmesg
	echo "pci = [\"$nic\", \"$disk\"]" | create_guest "$guest" 64 /guest/msix-holder -e && until_true 2400 holding
}

# holding: its own check says in Xen's log whether all is well.
holding() {
	xl dmesg | grep -q "check holder "
}

# guest_stopped: it shut down or crashed.
guest_stopped() {
	xl list "$guest" 2>/dev/null | grep -Eq ' [r-][b-][p-](s|-c)'
}

# guest_comes_to SECONDS WORD
guest_comes_to() {
	for slice in $(seq $(($1 / 15))); do
		while read -r -t 15 word <&4; do
			[ "$word" = "$guest $2" ] && return
		done
		guest_stopped && break
	done
	xl list
	tail -n 5 "$guest_log" /var/log/xen/qemu-dm-"$guest".log
	return 1
}

detach() {
	patiently xl pci-detach "$guest" "$nic" && patiently xl pci-detach "$guest" "$disk"
}

# attach: the guest stands still meanwhile. It would look at a device that the device model is still busy with.
attach() {
	xl pause "$guest" &&
		xl pci-attach "$guest" "$nic" &&
		xl pci-attach "$guest" "$disk" &&
		xl unpause "$guest"
}

destroy() {
	xl destroy "$guest" || return 1
	! xl list "$guest" 2>/dev/null
}

# release: takes the devices from the guest and destroys it. In one step xl now and then hangs or dies of a corrupt heap.
release() {
	detach && destroy
}

keys() {
	for letter in i M V; do
		key $letter "$1"
	done
}

phase 300 "dom0: give the devices away"
check hvm-assignable-nic xl pci-assignable-add "$nic"
check hvm-assignable-disk xl pci-assignable-add "$disk"
cat /guest/guest.cpio /guest/overlay.cpio >/guest/initrd
keys before

phase 600 "guest 0: traffic, interrupts moving between vCPUs"
listen 0
check hvm-create-0 create full
check hvm-proved guest_comes_to 590 proved
keys running

phase 300 "guest 0: detach and re-attach"
check hvm-detach detach
check hvm-empty guest_comes_to 120 empty
check hvm-attach attach
check hvm-done guest_comes_to 120 done
check hvm-destroy-0 release

# Nine guests of our own, which start fast and hold more interrupts than Linux; then Linux again.
for cycle in 1 2 3 4 5 6 7 8 9; do
	phase 300 "guest $cycle of 10: create, hold, destroy"
	guest=guest$cycle
	check hvm-hold-$cycle hold
	[ $cycle = 9 ] || check hvm-destroy-$cycle release
done
# The last of them stands still, so that it is destroyed with its devices and their interrupts.
key M holding
xl pause "$guest"
check hvm-destroy-9 destroy
phase 300 "guest 10 of 10: create, prove, destroy"
listen 10
check hvm-create-10 create short
check hvm-done-10 guest_comes_to 240 done
check hvm-destroy-10 release
keys after
