# Scenario: NIC and NVMe disk by their drivers in dom0.

phase 300 "dom0: traffic, interrupts moving between CPUs"
prove dom0

phase 120 "dom0: debug keys"
for letter in i M V Q; do
	key $letter traffic
done
