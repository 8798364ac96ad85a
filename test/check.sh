#!/bin/sh
# Types, lint and the unit tests, side by side: what to run before every commit. Changes nothing, starts no mail server.
set -u
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH
export PATH

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
names=

# start NAME COMMAND...: runs it in the background, its output and exit status in files.
start() {
  name=$1
  shift
  names="$names $name"
  { "$@" >"$logs/$name" 2>&1; echo $? >"$logs/$name.status"; } &
}

# A file that does not end is named by the runner when it is interrupted.
unit_tests() {
  find test -name '*.test.ts' ! -path 'test/journeys/*' ! -path 'test/servers/*' ! -path 'test/demo/*' | sort |
    xargs timeout 120 node --test --test-concurrency=4
}

start types tsc -p test
start lint biome check
start unit-tests unit_tests
wait

result=0
for name in $names; do
  if [ "$(cat "$logs/$name.status")" -eq 0 ]; then
    echo "ok   $name"
  else
    result=1
    cat "$logs/$name"
    echo "FAIL $name"
  fi
done
exit $result
