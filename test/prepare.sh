#!/bin/sh
# Makes sure of what the tests and the demo need (npm packages, Node 24, Debian packages), then runs the given command as root.
# Says nothing when nothing is missing. Services of the system are neither started nor stopped.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'prepare: %s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 69
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null || fail "not root, and no sudo, for: $*"
    sudo "$@"
  fi
}

# npm keeps this copy of the lock file: as old as the last installation.
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say 'installing npm packages'
  # Not npm ci: npm 11 refuses a lock file without the optional packages of platforms that are not Linux.
  npm install --no-save --no-audit --no-fund --loglevel=error >&2 || fail 'npm install failed'
fi

# Node 24 is among the npm packages. npm 9, which Debian 12 has, unpacks it but leaves out the link.
if [ ! -e node_modules/.bin/node ]; then
  for node in node_modules/node-linux-*/bin/node; do
    [ ! -x "$node" ] || ln -s "../${node#node_modules/}" node_modules/.bin/node
  done
fi
PATH=$PWD/node_modules/.bin:$PATH
export PATH
version=$(node --version 2>/dev/null) || version=none
major=${version#v}
[ "${major%%.*}" -ge 24 ] 2>/dev/null || fail "Node 24 or newer is needed, found: $version"

wanted='postfix dovecot-core dovecot-lmtpd dovecot-imapd redis-server openssl libxml2-utils swaks python3 systemd clamav-daemon'
command -v dpkg-query >/dev/null || fail "not a Debian: cannot look for $wanted"
installed=$(dpkg-query -W -f '${db:Status-Status}:${Package} ' $wanted 2>/dev/null) || :
missing=
for package in $wanted; do
  case " $installed" in
    *" installed:$package "*) ;;
    *) missing="$missing $package" ;;
  esac
done

install_missing() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get install -qq -o Dpkg::Use-Pty=0 --no-install-recommends $missing
}

# In a shell of its own, for its trap. `set -e` means nothing where the caller asks for the outcome.
install_without_starting() (
  policy=/usr/sbin/policy-rc.d
  # An existing one stays: which services may start is the administrator's to say.
  if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null || exit 1
    as_root chmod 755 "$policy" || exit 1
  fi
  # A new Postfix must not listen to the world after the next boot.
  case $missing in
    *postfix*) echo 'postfix postfix/main_mailer_type select Local only' | as_root debconf-set-selections || exit 1 ;;
  esac
  install_missing || { as_root apt-get update -qq && install_missing; }
)

if [ -n "$missing" ]; then
  say "installing Debian packages:$missing"
  log=$(mktemp)
  install_without_starting >"$log" 2>&1 || {
    cat "$log" >&2
    rm -f "$log"
    fail 'apt-get failed'
  }
  rm -f "$log"
fi

# sudo would put its own PATH in the place of ours.
[ "$(id -u)" -eq 0 ] || set -- sudo env "PATH=$PATH" ${NO_COLOR:+"NO_COLOR=$NO_COLOR"} "$@"
exec "$@"
