#!/bin/sh
# The first process of dom0: brings up what every scenario needs, runs it, and turns the machine off.

/usr/bin/busybox --install -s /usr/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /dev/pts /run/xen /var/lock
mount -t devpts pts /dev/pts
mount -t tmpfs run /var/run
mkdir -p /var/run/xen
export PATH=/usr/bin:/usr/sbin:/usr/lib/xen-4.20/bin

. /lib.sh

# key LETTER LABEL: what a debug key prints goes into the log between two marks.
key() {
	echo "@@ key $1 $2"
	xl debug-keys "$1"
	echo "@@ endkey"
}

# create_guest NAME MEMORY KERNEL ARGUMENT...: makes an HVM guest; what else its configuration says comes in on standard
# input.
create_guest() {
	{
		# Without native time stamps Xen has to emulate an instruction that the emulated processor cannot decode for it.
		cat <<-CONFIG
			name = "$1"
			type = "hvm"
			memory = $2
			vcpus = 2
			kernel = "$3"
			tsc_mode = "native"
			vga = "none"
			vnc = 0
		CONFIG
		cat
	} >/tmp/"$1".cfg
	domain=$1
	shift 3
	xl create "$@" /tmp/"$domain".cfg >/tmp/create 2>&1 || { cat /tmp/create; return 1; }
}

# now: the time since the start in hundredths of a second, in $now.
now() {
	read -r now_up now_idle </proc/uptime
	now=${now_up%.*}${now_up#*.}
	now=${now#0}
}

# What work() takes on a quiet machine, in hundredths of a second.
work_time=10

# work: what the machine's speed is measured with.
work() {
	work_left=10000
	while [ "$work_left" -gt 0 ]; do
		work_left=$((work_left - 1))
	done
}

# measure: what the machine takes now, in percent of a quiet one's time, in $slow: 100 to 800.
measure() {
	now
	measure_start=$now
	work
	now
	slow=$(((now - measure_start) * 100 / work_time))
	[ "$slow" -ge 100 ] || slow=100
	# One look at a host that stands still for a moment must not allow a hung machine an hour.
	[ "$slow" -le 800 ] || slow=800
}

# phase SECONDS TEXT: what comes now, and how long it may take on a quiet machine; a slower one has more time. Shortly
# before the time is up the log is told what every process waits for.
phase() {
	measure
	phase_time=$(($1 * slow / 100))
	shift
	echo "@@ phase $phase_time $*"
	kill "$watch" 2>/dev/null
	{ sleep $((phase_time - 20)) && show_processes >/dev/console; } &
	watch=$!
}

# show_processes: where each process is, and what the kernel does for it.
show_processes() {
	for process in /proc/[0-9]*; do
		[ -n "$(head -c 1 "$process/cmdline")" ] || continue
		echo "| ${process#/proc/} $(tr '\0' ' ' <"$process/cmdline"): $(cat "$process/syscall")"
		sed 's/^/|   /' "$process/stack"
	done 2>/dev/null
}

# show_state: also what Xen knows.
show_state() {
	dmesg | tail -n 30 | sed 's/^/| /'
	for state_key in i M V z; do
		xl debug-keys $state_key
	done
}

phase 120 "dom0: drivers and Xen's daemons"
check dom0-modules load_modules
mount -t xenfs xenfs /proc/xen
check xenstored xenstored
check xen-init-dom0 xen-init-dom0
check xenconsoled xenconsoled --log=guest

. /scenario.sh

phase 120 "power off"
echo "@@ end"
sync
poweroff -f
