#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# node_examples: the programs of clients/node/examples work over UDP, from another network namespace behind an AF_XDP
# port, as their comments say; the package is complete.
. "$(dirname "$0")/../support/lib.sh"
. "$top/tests/support/same_examples.sh"
. "$top/tests/support/js/js.sh"
. "$top/tests/support/net.sh"
js_needs
net_needs

# From the packed package, so that a file that is missing from it shows.
say "npm pack"
mkdir "$dir/bin" "$dir/node_modules"
package=$dir/node_modules/millrace
if command -v npm >/dev/null; then
	(cd "$top/clients/node" && npm pack --silent --offline --cache "$dir/npm" --pack-destination "$dir") \
		>"$dir/packed.log" 2>&1 ||
		fail "npm pack: $(cat "$dir/packed.log")"
	tar -xzf "$dir"/millrace-*.tgz -C "$dir"
	mv "$dir/package" "$package"
else
	cp -r "$top/clients/node" "$package"
fi
for file in index.d.ts README.md package.json src/index.js; do
	[ -s "$package/$file" ] || fail "the package lacks $file"
done

net_pair 1
bus_start --set sessions.heartbeat_ms=200 --set sessions.missed_max=50 --port "$(net_af_xdp)"
cat >"$dir/bin/example" <<-EOF
	#!/bin/sh
	name=\$1
	shift
	MILLRACE_SERVER=udp://$net_bus4:7400 exec ${net_in[*]} node "$package/examples/\$name.js" "\$@"
EOF
chmod +x "$dir/bin/example"
same_examples JavaScript "$dir/bin/example"

say "options of queues"
expect_status 0 "${net_in[@]}" timeout -k 5 $((patience_s * 2)) node "$js/queues.js" "udp://$net_bus4:7400"
expect_equal "the last behaviour" "$(tail -n 1 <<<"$output")" a_delivery_that_nobody_settles_is_recalled
bus_stop
