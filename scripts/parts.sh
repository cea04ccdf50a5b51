# Shared by scripts/test and scripts/demo: installs what is missing on a Debian or Ubuntu
# machine, and says what is missing elsewhere. To be sourced, from the repository's top.

say() { printf '\n== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Whether there is a way to become root without a question.
may_install() { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }

# as_root COMMAND…: runs it as root, if there is a way to do so without a question.
as_root() {
  may_install || return 1
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_packages PACKAGE…: by apt, without a question. Fails if that is not possible.
install_packages() {
  [ $# -gt 0 ] || return 0
  say "installing: $*"
  have apt-get || fail "please install these by your package manager: $*"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  local install=(install -y --no-upgrade --no-install-recommends "$@")
  as_root "${apt[@]}" "${install[@]}" >&2 \
    || { as_root "${apt[@]}" update >&2 && as_root "${apt[@]}" "${install[@]}" >&2; } \
    || fail "please install as root: apt-get install $*"
}

# The linker and compiler that Rust and the bundled SQLite and libgit2 need, the sandbox, git.
need_build_parts() {
  local missing=()
  have cargo || [ ! -r "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
  have cargo || fail "there is no Rust toolchain: see https://rustup.rs"
  have cc || missing+=(gcc libc6-dev)
  have git || missing+=(git)
  have bwrap || missing+=(bubblewrap)
  have unshare || missing+=(util-linux)
  install_packages "${missing[@]}"
}
