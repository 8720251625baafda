# Scenario: one HVM guest uses NIC and NVMe disk passed through, and is destroyed without a trace.

. /guests.sh

give_devices
first_guest once

phase 150 "guest 0: destroy"
check hvm-destroy-0 destroy
keys after
