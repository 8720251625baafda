#!/bin/sh
# Prints the directory with the sources of core for the compiler that rust-toolchain.toml pins. When the compiler
# or the sources are missing, or do not match, one line on stderr says what to do, and the exit status is 1.
set -eu

fail()
{
    echo "xen-irq: $1" >&2
    exit 1
}

cd "$(dirname "$0")/.."
want=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)

for tool in cargo rustc; do
    command -v $tool > /dev/null || fail "$tool is not in PATH; install rustup, or Rust $want by other means."
done

have=$(rustc --version 2> /dev/null | cut -d ' ' -f 2)
[ "$have" = "$want" ] ||
    fail "rustc is ${have:-not usable}, but $want is needed; run 'rustup toolchain install $want'."

# rustup's component rust-src and Debian's package both put the sources below the sysroot; `cargo xtask setup`
# fetches them into the cache where neither can be installed.
for library in "$(rustc --print sysroot)/lib/rustlib/src/rust/library" \
               "${XDG_CACHE_HOME:-${HOME:-}/.cache}/xen-irq/rust-src-$want"-*/library; do
    if [ -e "$library/core/src/lib.rs" ]; then
        echo "$library"
        exit 0
    fi
done

fail "the sources of core $want are missing; run 'cargo xtask setup' in $PWD."
