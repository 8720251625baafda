# HVM guests that dom0 makes, listens to and destroys. The scenario's script says which devices they get: $devices.

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

# passed: the line of a guest's configuration that names its devices.
passed() {
	echo "pci = [$(printf ', "%s"' $devices | cut -c 3-)]"
}

# create PROOF: starts the guest that is listened to.
create() {
	create_guest "$guest" 384 /guest/vmlinuz -e <<-CONFIG || { cat /var/log/xen/qemu-dm-"$guest".log; return 1; }
		ramdisk = "/guest/initrd"
		cmdline = "console=hvc0 loglevel=5 mitigations=off init_on_alloc=0 cryptomgr.notests proof=$1"
		$(passed)
		on_poweroff = "preserve"
		on_reboot = "preserve"
		on_crash = "preserve"
	CONFIG
}

# hold: starts the guest that holds interrupts until it is destroyed, and waits until it does.
hold() {
	xl dmesg -c >/tmp/dmesg
	passed | create_guest "$guest" 64 /guest/msix-holder -e && until_true 2400 holding
}

# holding: its own check says in Xen's log whether all is well. Looks seldom, because that costs much in an emulated machine.
holding() {
	sleep 1.5
	xl dmesg | grep -q "check holder "
}

# guest_stopped: it shut down or crashed.
guest_stopped() {
	xl list "$guest" 2>/dev/null | grep -Eq ' [r-][b-][p-](s|-c)'
}

# guest_comes_to SECONDS WORD: more seconds where the machine was slow when the phase began.
guest_comes_to() {
	for slice in $(seq $(($1 * slow / 1500))); do
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
	for passed_device in $devices; do
		patiently xl pci-detach "$guest" "$passed_device" || return 1
	done
}

destroy() {
	xl destroy "$guest" || return 1
	! xl list "$guest" 2>/dev/null
}

# release: takes the devices from the guest and destroys it.
release() {
	detach && destroy
}

# keys LABEL: the debug keys that tell of interrupts.
keys() {
	for letter in i M V; do
		key $letter "$1"
	done
}

# give_devices: takes NIC and disk from their drivers in dom0, so that a guest can have them.
give_devices() {
	nic=$(pci_of e1000e)
	disk=$(pci_of nvme)
	devices="$nic $disk"
	phase 300 "dom0: give the devices away"
	check hvm-assignable-nic xl pci-assignable-add "$nic"
	check hvm-assignable-disk xl pci-assignable-add "$disk"
	cat /guest/guest.cpio /guest/overlay.cpio >/guest/initrd
	keys before
}

# first_guest PROOF: makes a Linux guest with both devices and waits until it has used them.
first_guest() {
	phase 600 "guest 0: traffic, interrupts moving between vCPUs"
	listen 0
	check hvm-create-0 create "$1"
	check hvm-proved guest_comes_to 590 proved
	keys running
}
