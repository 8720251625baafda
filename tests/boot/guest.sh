#!/bin/sh
# The first process of an HVM guest. The word after "proof=" on the kernel's command line says how much it does.

/usr/bin/busybox --install -s /usr/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
export PATH=/usr/bin

. /lib.sh

load_modules

# Gone and come back: the disk and the NIC after a detach and a re-attach by dom0.
devices_gone() {
	! nic_there && ! disk_there
}

proof=$(sed -n 's/.*proof=\([a-z]*\).*/\1/p' /proc/cmdline)
case $proof in
full)
	prove guest
	echo "@@guest proved"
	until_true 1200 devices_gone
	echo "@@guest empty"
	check guest-nic-again nic_up
	check guest-nic-tcp-again nic_echo 64
	check guest-disk-again disk_verify 256 1
	;;
once)
	prove guest
	echo "@@guest proved"
	;;
vf)
	nic_driver=igbvf
	check guest-nic nic_up 10.0.2.16
	check guest-nic-tcp nic_echo 256
	nic=$(pci_of igbvf)
	describe "$nic"
	for cpu in 1 0; do
		check guest-nic-irqs-to-cpu$cpu moves_to $cpu "$(irqs_of "$nic")" nic_echo 16
	done
	echo "@@guest proved"
	# Beside dom0's own traffic, so no check of its own: dom0 sees whether it comes to an end.
	nic_echo 64 || exec sleep 1000
	;;
esac
echo "@@guest done"
# Alive until dom0 destroys it: xl waits ten seconds for each device that it takes from a guest that has stopped.
while :; do
	sleep 1000
done
