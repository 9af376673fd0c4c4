#!/usr/bin/env bash
# Starts a server, runs the examples on it, shows what came out, and leaves the server up.
# PENSTOCK_DATA and PENSTOCK_LISTEN are honoured.
set -euo pipefail
cd "$(dirname "$0")/.."
penstock=build/release/penstock
listen=${PENSTOCK_LISTEN:-127.0.0.1:8080}
server=http://$listen

if curl -fs "$server/readyz" >/dev/null 2>&1; then
  echo "» using the server that is up at $server"
else
  log=$(mktemp "${TMPDIR:-/tmp}/penstock-demo-XXXXXX.log")
  # The one line on its standard output says that it is ready, and where.
  exec {ready}< <(exec setsid "$penstock" up --listen "$listen" 2>"$log" </dev/null)
  pid=$!
  read -r line <&"$ready" || { cat "$log"; exit 1; }
  echo "» $line"
fi

failed=0
for example in hello parameters train branches loops nested shell packages classic cleanup; do
  echo
  echo "» examples/$example.py"
  status=0
  "$penstock" run --server "$server" "examples/$example.py" || status=$?
  expected=0
  [ "$example" = cleanup ] && expected=1 && echo "(this run is meant to fail: its exit handler ran)"
  [ $status = $expected ] || { echo "!! ended with status $status"; failed=1; }
done

echo
"$penstock" get runs --server "$server" | head -15
echo
echo "The server is up at $server ${pid:+(process $pid: \`kill $pid\` ends it, its log is $log)}"
exit $failed
