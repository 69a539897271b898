# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Every version, suite, hash and architecture that the scripts depend on. Change one here and nowhere else.

# The kernel that patches/ is for, and the suite of Debian that has its source.
VERSION_LINUX=7.3.4
VERSION_LINUX_SUITE=trixie-backports
# The kernels that the series applies to (with patches/linux-X.Y in front for an older one).
VERSION_SERIES='7.2 7.3'
# The kernels that the external module is for.
VERSION_DEVBOX='7.3'
# The only architecture of the machine itself, as uname -m prints it, and what --arch takes.
VERSION_ARCH=x86_64
VERSION_ARCHES='x86_64 arm64'
# The system whose packages deps installs.
VERSION_DEBIAN=12
# The Debian that devbox --test and deb --test make for themselves.
VERSION_BOX=trixie VERSION_BOX_BACKPORTS=trixie-backports

# LLVM: that of rustc-web, so that kbuild can inline the small functions of C into Rust (RUST_INLINE_HELPERS).
VERSION_LLVM=22
# The other one that matrix uses.
VERSION_LLVM_OTHER=19
# The kernel's minimum (scripts/min-tool-version.sh), and the newest in any suite of Debian 12.
VERSION_RUSTC='1.85 1.96'
VERSION_BINDGEN=0.72.1
# herd7 and the libraries that it needs: packages of this suite, with the SHA-256 of their files. If the archive has other
# versions, those are used.
VERSION_HERD_SUITE=sid
VERSION_HERD='herdtools7 7.58-2 97a6e2bfbc2c516cd9816e8c87c3acc412953479a3351b308d139e0af9550672
libc6 2.43-7 5c71715c51103beb4fbba9fe9f8dff604af6610dfa71c70bff342f54a7860803
libgmp10 2:6.3.0+dfsg-5+b2 032743c787f0e1e644e4dcfbdb38f01be8cb150cb9633f8be5e79aba6938f349'
# The versions and hashes of Python packages are in requirements.txt files, those of crates in Cargo.lock files.

version_series() { sed -n 's/^\([0-9]*\.[0-9]*\).*/\1/p' <<<"$1"; } # 7.3.4-anything: 7.3
