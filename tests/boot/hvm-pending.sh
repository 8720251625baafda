# Scenario: a guest kernel of our own uses the pending bits that lie in the pages of its devices' MSI-X tables. Its transcript is in
# Xen's log.

# assign: takes the devices from their drivers, so that a guest can have them.
assign() {
	xl pci-assignable-add 00:06.0 && xl pci-assignable-add 00:07.0
}

create() {
	create_guest pending 64 /guest/pending-bits <<-CONFIG
		pci = ["00:06.0", "00:07.0"]
	CONFIG
}

# ends: waits until the guest is gone; its own check says whether it came to its end.
ends() {
	while xl list pending >/tmp/pending 2>&1; do
		sleep 2
	done
	cat /tmp/pending
	grep -q "invalid domain identifier" /tmp/pending
}

phase 120 "dom0: the devices leave their drivers"
check assign assign
phase 300 "the guest is made"
check create create
phase 300 "the guest runs"
check guest-ends ends
