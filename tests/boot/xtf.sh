# Scenario: the tests of an XTF tree, each as a domain.
#
# A test says its result on its console and shuts its domain down. One that says none has crashed.

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

# wait_for_result SECONDS
wait_for_result() {
	for second in $(seq "$1"); do
		until_true 10 finished && return
		[ $((second % 5)) = 0 ] && stopped && return
	done
}

mkdir -p /var/log/xen/console
for config in /xtf/tests/*/*.cfg; do
	name=$(basename "$config" .cfg)
	log=/var/log/xen/console/guest-$name.log
	phase 240 "$name"
	: >"$log"
	if xl create -e "$config" >/tmp/xl 2>&1; then
		wait_for_result 60
		result=$(sed -n 's/^Test result: \([A-Z]*\).*/\1/p' "$log" | tail -n 1)
		[ "$result" = SUCCESS ] || [ "$result" = SKIP ] || sed 's/^/| /' "$log"
		say "xtf $name ${result:-CRASH}"
	else
		sed 's/^/| /' /tmp/xl
		say "xtf $name NO-DOMAIN"
	fi
	xl destroy "$name" 2>/dev/null
done
