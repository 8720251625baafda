# Scenario: tests of an XTF tree, each as a domain, in the order of /xtf/list.
#
# A test says its result on its console and shuts its domain down. One that says none has crashed. One that is not over
# when its time is up is destroyed, and its result is "timeout". Its time follows the machine's speed, in $slow.

# What a test may take, and xl for each of its commands: seconds on a quiet machine.
test_time=60
xl_time=40

# allow: what the machine has for this test from now on, before it is taken for hung.
allow() {
	phase $((test_time + 2 * xl_time + 20)) "$name"
}

# finished: the test has said its result. Without other commands, which are slow in an emulated machine.
finished() {
	while read -r line; do
		case $line in
		"Test result:"*) return ;;
		esac
	done <"$log"
	return 1
}

# stopped: the domain has shut down or crashed without a word.
stopped() {
	xl list "$name" 2>/dev/null | grep -Eq ' [r-][b-][p-](s|-c)'
}

# ends: waits until the test is over; false when its time is up.
ends() {
	now
	ends_at=$((now + test_time * slow))
	ends_looks=0
	until finished; do
		ends_looks=$((ends_looks + 1))
		[ $((ends_looks % 10)) = 0 ] && stopped && return
		sleep 0.5
		now
		[ "$now" -ge "$ends_at" ] || continue
		# What has become slower meanwhile gets the time that it would have had.
		ends_slow=$slow
		allow
		[ "$slow" -gt $((ends_slow * 5 / 4)) ] || return
		ends_at=$((ends_at + test_time * (slow - ends_slow)))
	done
}

# run_test CONFIG: the result is in $result.
run_test() {
	timeout $((xl_time * slow / 100)) xl create -e "$1" >/tmp/xl 2>&1
	case $? in
	0) ;;
	# What ends a command whose time is up: as busybox says it, and as others do.
	124 | 137 | 143) result=timeout; return ;;
	*) result=NO-DOMAIN; sed 's/^/| /' /tmp/xl; return ;;
	esac
	result=CRASH
	ends || result=timeout
	said=$(sed -n 's/^Test result: \([A-Z]*\).*/\1/p' "$log" | tail -n 1)
	result=${said:-$result}
	[ "$result" = SUCCESS ] || [ "$result" = SKIP ] || sed 's/^/| /' "$log"
}

# gone: no domain of the test is left.
gone() {
	xl list "$name" >/dev/null 2>&1 || return 0
	timeout $((xl_time * slow / 100)) xl destroy "$name"
	! xl list "$name" >/dev/null 2>&1
}

mkdir -p /var/log/xen/console
while read -r name config <&3; do
	log=/var/log/xen/console/guest-$name.log
	allow
	: >"$log"
	run_test "$config"
	gone
	left_over=$?
	say "xtf $name $result"
	echo "| $name: the machine takes $slow % of a quiet one's time"
	# The others go on in a machine that is started again.
	[ $left_over = 0 ] || break
done 3</xtf/list
