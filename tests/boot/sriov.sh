# Scenario: a virtual function of a NIC, made by the driver in dom0, is an HVM guest's, while dom0 uses the NIC itself.

. /guests.sh

nic_driver=igb
nic=$(pci_of igb)

# make_functions: has the driver make two virtual functions. The second is passed through: its memory lies behind the first's.
make_functions() {
	echo 2 >"/sys/bus/pci/devices/$nic/sriov_numvfs" || return 1
	until_true 100 exists "/sys/bus/pci/devices/$nic/virtfn1"
}

remove_functions() {
	echo 0 >"/sys/bus/pci/devices/$nic/sriov_numvfs" || return 1
	! exists "/sys/bus/pci/devices/$nic/virtfn0"
}

# all_keys LABEL: also which devices Xen knows.
all_keys() {
	keys "$1"
	key Q "$1"
}

# functions_there ROUND: makes the functions, and takes the second from dom0, so that a guest can have it.
functions_there() {
	check sriov-make-$1 make_functions
	devices=$(basename "$(readlink "/sys/bus/pci/devices/$nic/virtfn1")")
	until_true 300 nic_carrier
	check sriov-nic-tcp-$1 nic_echo 64
	check sriov-assignable-$1 xl pci-assignable-add "$devices"
}

# functions_gone ROUND
functions_gone() {
	check sriov-returned-$1 xl pci-assignable-remove "$devices"
	check sriov-remove-$1 remove_functions
	check sriov-nic-tcp-after-$1 nic_echo 64
}

# leave: the function leaves the guest; if the device model is not in time for that, with the guest itself.
leave() {
	xl pci-detach "$guest" "$devices"
	destroy
}

phase 300 "dom0: the NIC itself"
check sriov-nic nic_up
check sriov-nic-tcp nic_echo 64
all_keys without
phase 300 "dom0: virtual functions of it"
functions_there 0
cat /guest/guest.cpio /guest/overlay.cpio >/guest/initrd
all_keys before
phase 600 "guest: traffic, interrupts moving between vCPUs"
listen 0
check sriov-create create vf
check sriov-proved guest_comes_to 590 proved
check sriov-nic-tcp-beside nic_echo 64
check sriov-done guest_comes_to 120 done
all_keys running
phase 300 "the guest goes, and the functions"
check sriov-destroy leave
all_keys after
functions_gone 0
phase 300 "the functions come back and go again"
functions_there 1
functions_gone 1
all_keys gone
