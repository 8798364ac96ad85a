#!/bin/sh
# Everything: types, lint and unit tests, then the tests that run real servers. Called by `npm test` after prepare.sh.
set -eu
cd "$(dirname "$0")/.."
sh test/check.sh
find test/servers test/demo test/journeys -name '*.test.ts' | sort | xargs node --test --test-concurrency=2
