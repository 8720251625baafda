# Shared by dom0 and the HVM guests: what they tell the test, and what they do with the two devices.
#
# Lines for the test begin with "@@"; rust/xtask/src/boot/protocol.rs reads them. Everything else is for people.

# check NAME COMMAND...: one row of the table. What the command prints is the detail.
check() {
	check_name=$1
	shift
	if check_detail=$("$@" 2>&1); then
		echo "@@ check $check_name ok" $check_detail
	else
		show_state
		echo "@@ check $check_name FAIL" $check_detail
	fi
}

# show_state: what helps to understand a failure.
show_state() {
	dmesg | tail -n 30 | sed 's/^/| /'
}

# say TEXT: a line that is the same in every run of a correct hypervisor.
say() {
	echo "@@ say $*"
}

# until_true TENTHS COMMAND...: waits until the command succeeds. Looking too often would slow down what is waited for.
until_true() {
	left=$1
	shift
	until "$@"; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 5))
		sleep 0.5
	done
}

exists() {
	[ -e "$1" ]
}

# load_modules: those of the image, in the order that it lists.
load_modules() {
	while read -r module; do
		insmod "/modules/$module" || return 1
	done </modules/order
}

# pci_of DRIVER: the address of the device that the driver drives.
pci_of() {
	for device in /sys/bus/pci/drivers/"$1"/0*; do
		[ -e "$device" ] && basename "$device" && return
	done
	echo "no device of $1"
	return 1
}

# The driver of the NIC that is used.
nic_driver=e1000e

nic_name() {
	ls /sys/bus/pci/drivers/$nic_driver/0*/net 2>/dev/null
}

nic_there() {
	[ -n "$(nic_name)" ]
}

nic_carrier() {
	[ "$(cat "/sys/class/net/$(nic_name)/carrier")" = 1 ]
}

# nic_up [ADDRESS]: the driver is there, the link is up, and the machine emulator's gateway answers.
nic_up() {
	until_true 300 nic_there || { echo "no network device"; return 1; }
	ip address add "${1:-10.0.2.15}"/24 dev "$(nic_name)"
	ip link set "$(nic_name)" up
	until_true 300 nic_carrier || { echo "no carrier"; return 1; }
	ping -c 3 -i 0.2 -W 10 10.0.2.2 >/tmp/ping || { tail -n 3 /tmp/ping; return 1; }
	echo "3 pings"
}

# nic_echo KIB: sends random data to the echo service over TCP and compares what comes back.
nic_echo() {
	echo_size=$(($1 * 1024))
	head -c "$echo_size" /dev/urandom >/tmp/sent
	: >/tmp/received
	nc 10.0.2.100 7 </tmp/sent >/tmp/received &
	echo_pid=$!
	until_true 600 echo_complete
	kill $echo_pid 2>/dev/null
	wait $echo_pid 2>/dev/null
	cmp /tmp/sent /tmp/received || return 1
	echo "$1 KiB each way"
}

echo_complete() {
	[ "$(stat -c %s /tmp/received)" -ge "$echo_size" ]
}

disk_there() {
	[ -b /dev/nvme0n1 ]
}

# disk_verify KIB CPU: writes random data past the cache from one CPU, reads it back and compares.
disk_verify() {
	until_true 300 disk_there || { echo "no disk"; return 1; }
	disk_mask=$((1 << $2))
	head -c $(($1 * 1024)) /dev/urandom >/tmp/written
	taskset $disk_mask dd if=/tmp/written of=/dev/nvme0n1 bs=16k seek="$2" oflag=direct 2>/tmp/dd ||
		{ cat /tmp/dd; return 1; }
	taskset $disk_mask dd if=/dev/nvme0n1 of=/tmp/read bs=16k skip="$2" count=$(($1 / 16)) iflag=direct 2>/tmp/dd ||
		{ cat /tmp/dd; return 1; }
	cmp /tmp/written /tmp/read || return 1
	echo "$1 KiB written and read"
}

# irqs_of PCI: the interrupts of a device, lowest first.
irqs_of() {
	ls "/sys/bus/pci/devices/$1/msi_irqs" | sort -n
}

# count CPU IRQ...: how often these interrupts came to the CPU.
count() {
	count_cpu=$1
	shift
	for count_irq; do
		awk -v irq="$count_irq:" -v column=$((count_cpu + 2)) '$1 == irq { print $column }' /proc/interrupts
	done | awk '{ sum += $1 } END { print sum + 0 }'
}

# came_to CPU IRQS COMMAND...: the command makes these interrupts come to this CPU and next to none to the other.
came_to() {
	came_cpu=$1
	came_irqs=$2
	shift 2
	here=$(count "$came_cpu" $came_irqs)
	there=$(count $((1 - came_cpu)) $came_irqs)
	came_said=$("$@") || { echo "$came_said"; return 1; }
	here=$(($(count "$came_cpu" $came_irqs) - here))
	there=$(($(count $((1 - came_cpu)) $came_irqs) - there))
	echo "CPU$came_cpu +$here, CPU$((1 - came_cpu)) +$there"
	# One that was on its way during the move may still arrive at the old CPU.
	[ "$here" -gt 0 ] && [ "$there" -le 1 ]
}

# moves_to CPU IRQS COMMAND...: as came_to, after moving the interrupts there.
moves_to() {
	for moves_irq in $2; do
		echo $((1 << $1)) >/proc/irq/"$moves_irq"/smp_affinity ||
			{ echo "interrupt $moves_irq cannot be moved"; return 1; }
	done
	# Linux completes the move of an edge interrupt with the next one; let that pass before counting.
	"$3" $4 $5 >/dev/null
	came_to "$@"
}

# count_interrupts NAME PCI: tells how often the device's interrupts came to all CPUs together.
count_interrupts() {
	echo "@@ count $1-interrupts $(($(count 0 $(irqs_of "$2")) + $(count 1 $(irqs_of "$2"))))"
}

# disk_identify: commands to the disk's administration queue.
disk_identify() {
	echo 1 >/sys/class/nvme/nvme0/rescan_controller || return 1
	sleep 0.3
}

# disk_irq QUEUE: the interrupt of a queue; 0 is the administration queue.
disk_irq() {
	awk -v name="nvme0q$1" '$NF == name { sub(":", "", $1); print $1 }' /proc/interrupts
}

# describe PCI: what the system sees of a device. Without other programs: the line is compared with that of other runs.
describe() {
	describe_path=/sys/bus/pci/devices/$1
	read -r describe_vendor <"$describe_path/vendor"
	read -r describe_device <"$describe_path/device"
	describe_driver=$(cd -P "$describe_path/driver" && echo "${PWD##*/}")
	describe_count=0
	describe_kinds=
	for describe_irq in "$describe_path"/msi_irqs/*; do
		read -r describe_kind <"$describe_irq"
		describe_count=$((describe_count + 1))
		case " $describe_kinds " in
		*" $describe_kind "*) ;;
		*) describe_kinds="$describe_kinds $describe_kind" ;;
		esac
	done
	say "device $describe_vendor $describe_device driver $describe_driver" \
		"interrupts $describe_count$describe_kinds"
}

# prove PREFIX: both devices work and all their interrupts move.
prove() {
	check "$1-nic" nic_up
	check "$1-nic-tcp" nic_echo 256
	check "$1-disk" disk_verify 1024 0
	nic=$(pci_of e1000e)
	disk=$(pci_of nvme)
	describe "$nic"
	describe "$disk"
	for cpu in 1 0; do
		check "$1-nic-irqs-to-cpu$cpu" moves_to $cpu "$(irqs_of "$nic")" nic_echo 16
		check "$1-disk-admin-irq-to-cpu$cpu" moves_to $cpu "$(disk_irq 0)" disk_identify
	done
	for cpu in 0 1; do
		check "$1-disk-queue-on-cpu$cpu" came_to $cpu "$(disk_irq $((cpu + 1)))" disk_verify 128 $cpu
	done
	count_interrupts "$1-nic" "$nic"
	count_interrupts "$1-disk" "$disk"
}
