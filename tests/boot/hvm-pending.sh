# Scenario: a guest kernel of our own uses the pending bits that lie in the page of its device's MSI-X table. Its transcript is in
# Xen's log.

# assign: takes the device from its driver, so that a guest can have it.
assign() {
	xl pci-assignable-add 00:06.0
}

create() {
	create_guest pending 64 /guest/pending-bits <<-CONFIG
		pci = ["00:06.0"]
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

phase 120 "dom0: the device leaves its driver"
check assign assign
phase 300 "the guest is made"
check create create
phase 300 "the guest runs"
check guest-ends ends
