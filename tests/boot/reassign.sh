# Scenario: devices are switched off and on, reset, and given to guests and taken back, again and again. Each time their
# interrupts come again, and in the end nothing is left behind. NIC and disk have MSI-X, the USB controller has one MSI.

. /guests.sh

nic=$(pci_of e1000e)
disk=$(pci_of nvme)
usb=$(pci_of xhci_hcd)
# The guest's firmware would wait for the USB controller's ports for minutes, so that goes no further than out of dom0.
devices="$nic $disk"
given="$devices $usb"
# What most of the functions below take: KIND ADDRESS DRIVER.
nic="nic $nic e1000e"
disk="disk $disk nvme"
usb="usb $usb xhci_hcd"

# keyboard: the file that says whether the keyboard is let in.
keyboard() {
	ls "/sys/bus/pci/drivers/xhci_hcd"/0*/usb*/[0-9]-[0-9]/authorized 2>/dev/null
}

usb_there() {
	[ -n "$(keyboard)" ]
}

# use_nic, use_disk, use_usb: the device does something of which it tells by interrupts.
use_nic() {
	nic_up && nic_echo 16
}

use_disk() {
	disk_verify 64 0
}

# A keyboard that is let in again is asked what it is.
use_usb() {
	echo 0 >"$(keyboard)" && echo 1 >"$(keyboard)"
}

# arrived ADDRESS: how many interrupts of a device came, to both processors.
arrived() {
	awk -v irqs=" $(irqs_of "$1" | tr '\n' ' ')" 'index(irqs, " " $1 + 0 " ") { sum += $2 + $3 } END { print sum + 0 }' /proc/interrupts
}

# works KIND ADDRESS: the device works, and its interrupts come.
works() {
	until_true 300 "$1_there" || { echo "it is not there"; return 1; }
	works_before=$(arrived "$2")
	"use_$1" >/tmp/works 2>&1 || { cat /tmp/works; return 1; }
	works_count=$(($(arrived "$2") - works_before))
	echo "$works_count interrupts"
	[ "$works_count" -gt 0 ]
}

unbind() {
	echo "$2" >"/sys/bus/pci/drivers/$3/unbind"
}

bind() {
	echo "$2" >"/sys/bus/pci/drivers/$3/bind"
}

# reset: as the function itself offers it; the USB controller does not. The driver stays, and finds its interrupts as they were.
reset() {
	[ "$1" != nic ] || ip link set "$(nic_name)" down
	echo 1 >"/sys/bus/pci/devices/$2/reset"
}

# decode ADDRESS BIT: memory decoding; bit 1 of the command register.
decode() {
	decode_file=/sys/bus/pci/devices/$1/config
	decode_was=$(od -An -tu1 -j4 -N1 "$decode_file")
	printf "\\$(printf %o $(((decode_was & ~2) | $2)))" | dd of="$decode_file" bs=1 seek=4 conv=notrunc 2>/dev/null
}

# blind: the driver goes while the device does not decode its registers, so that nothing can be masked in them.
blind() {
	[ "$1" != nic ] || ip link set "$(nic_name)" down
	decode "$2" 0 && unbind "$@" && bind "$@"
}

# each STEP DEVICE...: a step for each device, after which it works.
each() {
	each_step=$1
	shift
	for each_device; do
		check "$each_step-${each_device%% *}" "$each_step" $each_device
		check "works-${each_device%% *}-$each_step" works $each_device
	done
}

rebind() {
	unbind "$@" && bind "$@"
}

give() {
	for give_device in $given; do
		xl pci-assignable-add "$give_device" || return 1
	done
}

take() {
	for take_device in $given; do
		xl pci-assignable-remove -r "$take_device" || return 1
	done
}

all_keys() {
	keys "$1"
	key Q "$1"
}

# all_work WHEN
all_work() {
	for all_device in "$nic" "$disk" "$usb"; do
		check "works-${all_device%% *}-$1" works $all_device
	done
}

phase 300 "dom0: the devices work"
all_work before
all_keys before
phase 300 "off and on, reset, out of dom0 and back"
each rebind "$nic" "$disk" "$usb"
each reset "$nic" "$disk"
check give give
check take take
all_work again
phase 300 "off while blind, reset"
each blind "$nic" "$disk" "$usb"
each reset "$nic" "$disk"
phase 300 "a guest"
guest=guest0
check give give
check hold hold
key M holding
check release release
check take take
all_work after
all_keys after
