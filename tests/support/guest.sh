# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# guest: a virtual machine that stands in for a host with a network card and an IOMMU. Source lib.sh and net.sh
# first. Its card's other end is the interface $net_peer in the scenario's namespace, with the addresses of a peer.

guest_card=0000:00:05.0
guest_run=/run/bus
guest_number=0

guest_needs() {
	local program

	for program in qemu-system-x86_64 busybox; do
		command -v "$program" >/dev/null || skip "$program is not installed"
	done
	[ -c /dev/net/tun ] || skip "no /dev/net/tun here"
	"$top/tests/guest/image" "$build" "$build/guest" 2>"$dir/image.err" || {
		[ $? -ne 77 ] || skip "$(tail -n 1 "$dir/image.err")"
		fail "the virtual machine's files cannot be made"
	}
}

# guest_start QUEUES MTU: boots it, with as many queues of the card, and a CPU for each and two more.
guest_start() {
	guest_line=$dir/line guest_monitor=$dir/monitor
	mkfifo "$guest_line.in" "$guest_line.out" "$guest_monitor.in" "$guest_monitor.out"
	exec {guest_in}<>"$guest_line.in" {guest_out}<>"$guest_line.out" {guest_mon}<>"$guest_monitor.in"
	"${net_in[@]}" ip tuntap add "$net_peer" mode tap multi_queue
	"${net_in[@]}" ip link set "$net_peer" mtu "$2" up
	"${net_in[@]}" ip address add "$net_peer4/24" dev "$net_peer"
	"${net_in[@]}" ip address add "$net_peer6/64" dev "$net_peer" nodad
	start guest "${net_in[@]}" nice qemu-system-x86_64 -accel tcg -M q35,kernel-irqchip=split -cpu max \
		-smp $(($1 + 2)) -m 1024 -display none -nodefaults -no-reboot \
		-device intel-iommu,intremap=on,caching-mode=on -kernel "$build/guest/vmlinuz" \
		-initrd "$build/guest/initrd" -append "console=ttyS0 intel_iommu=on quiet panic=-1" \
		-serial "file:$dir/console.log" -chardev "pipe,id=line,path=$guest_line" -serial chardev:line \
		-chardev "pipe,id=monitor,path=$guest_monitor" -mon chardev=monitor \
		-netdev "tap,id=net,queues=$1,ifname=$net_peer,script=no,downscript=no,vhost=off" \
		-device "virtio-net-pci,id=card,netdev=net,addr=5,mq=on,vectors=$(($1 * 2 + 2)),rss=on,hash=on,$(
			)iommu_platform=on,disable-legacy=on,host_mtu=$2"
	guest_pid=$pid
	guest_read
	[ "$status" = ready ] || fail "the virtual machine did not start: $output"
}

# Reads what a command printed into `output`, and how it ended into `status`.
guest_read() {
	local line deadline=$((SECONDS + 2 * patience_s))

	output=''
	while read -r -t $((deadline - SECONDS + 1)) -u "$guest_out" line; do
		line=${line%$'\r'}
		case $line in
		'=== '*)
			status=${line#=== }
			return
			;;
		esac
		output+=$line$'\n'
	done
	fail "the virtual machine did not answer; it said: $output"
}

# guest COMMAND-LINE: runs it in the virtual machine's shell; sets `output` and `status`.
guest() {
	guest_number=$((guest_number + 1))
	echo "$1" >&"$guest_in"
	guest_read
	printf '%s\n' "# $1" "$output" >>"$dir/guest.log"
}

# guest_expect STATUS COMMAND-LINE
guest_expect() {
	guest "$2"
	[ "$status" = "$1" ] || fail "in the virtual machine, '$2' ended with $status, expected $1: $output"
}

# guest_json FILTER VALUE COMMAND...: what a command of millrace prints with --json.
guest_is() {
	guest "millrace --server shm:$guest_run/attach.sock $3 --json 2>&1"
	printf '%s' "$output" >"$dir/guest.json"
	[ "$(jq -c "$1" "$dir/guest.json")" = "$2" ]
}
guest_json() {
	guest_is "$@" || expect_json "$dir/guest.json" "$1" "$2"
}

# guest_bus ARGUMENT...: starts a bus in it, which is ready when this returns.
guest_bus() {
	guest "rm -f /run/ready; mkfifo /run/ready; millrace up --run-dir $guest_run --ready-fd 9 $* \
>/run/bus.log 2>&1 9>/run/ready & timeout $patience_s head -n 1 /run/ready; [ -S $guest_run/attach.sock ]"
	[ "$status" = 0 ] || {
		guest "cat /run/bus.log"
		fail "the bus in the virtual machine did not come up: $output"
	}
}

guest_bus_stop() {
	guest_expect 0 "killall -TERM millrace; for i in \$(seq 600); do pidof millrace >/dev/null || break; usleep 100000; done; \
! pidof millrace millrace-dataplane millrace-control; cat /run/bus.log"
}

# guest_tell COMMAND: a command of QEMU's monitor.
guest_tell() { echo "$1" >&"$guest_mon"; }

guest_stop() {
	echo "poweroff -f" >&"$guest_in"
	wait_child "$guest_pid" "the virtual machine"
}

# Gives the card to vfio-pci, or to the kernel's driver.
guest_bind() {
	guest_expect 0 "cd /sys/bus/pci/devices/$guest_card && echo $1 >driver_override && \
echo $guest_card >driver/unbind && echo $guest_card >/sys/bus/pci/drivers_probe && \
[ \$(basename \$(readlink driver)) = $1 ]"
}
