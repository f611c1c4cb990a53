# SPDX-License-Identifier: GPL-2.0-only
#
# The commands that a person types: `make help` lists them. The kernel's build reads Kbuild instead.

export KDIR KVER LLVM C BASE

module:
	+@scripts/build modules

compile_commands.json: module
	@scripts/building/compile-commands > $@.tmp && mv $@.tmp $@

clean:
	@scripts/clean

demo:
	@scripts/demo

vm:
	@scripts/vm shell

live:
	@scripts/live/run $(KERNELS)

check test-all: COMMAND = $(@:test-%=%)
test check test-all:
	@scripts/test $(COMMAND)

observers:
	@scripts/observers

kernels:
	@RECORD='$(RECORD)' scripts/kernels $(KERNELS)

bench:
	@OPS='$(OPS)' FILESYSTEMS='$(FILESYSTEMS)' BASES='$(BASES)' PROFILE='$(PROFILE)' scripts/bench

bench-check bench-memory:
	@NAMES='$(NAMES)' RECORD='$(RECORD)' scripts/benchmark/$@

bench-processors:
	@OPS='$(OPS)' FILESYSTEMS='$(FILESYSTEMS)' TASKS='$(TASKS)' RECORD='$(RECORD)' scripts/benchmark/$@

bench-programs:
	@PROGRAMS='$(PROGRAMS)' FILESYSTEMS='$(FILESYSTEMS)' BASES='$(BASES)' BRANCHES='$(BRANCHES)' FILES='$(FILES)' \
		PEER='$(PEER)' PEER_MODULE='$(PEER_MODULE)' PROFILE='$(PROFILE)' RECORD='$(RECORD)' scripts/benchmark/$@

kunit:
	@ARCH='$(ARCH)' KERNEL='$(KERNEL)' NOMMU='$(NOMMU)' KCSAN='$(KCSAN)' scripts/kunit $(TESTS)

kunit-mutants:
	@ARCH='$(ARCH)' KERNEL='$(KERNEL)' NOMMU='$(NOMMU)' scripts/kunit-mutants $(SITES)

deb:
	@scripts/package/build

test-deb:
	@FLAVOUR='$(FLAVOUR)' scripts/package/test $(DEBIAN)

test-hosts:
	@WHOLE='$(WHOLE)' scripts/test-hosts $(DEBIAN)

lint:
	@scripts/lint

setup:
	@scripts/setup

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

.PHONY: module compile_commands.json clean demo vm live check test test-all observers kernels bench bench-check bench-memory bench-processors bench-programs kunit kunit-mutants deb test-deb test-hosts lint setup help

#: make [LLVM=1 | LLVM=-19] [KVER=RELEASE | KDIR=DIR]
#:                        build aufs.ko, and its companion aufs-observers.ko, with clang (the
#:                        newest here, or clang-19) for the running kernel, for an installed one,
#:                        or for a headers directory;
#:                        for the newest installed headers if the running kernel has none
#: make C=1               the same, and run sparse over the C files that are compiled
#: make compile_commands.json
#:                        for clangd and clang-tidy, as the last build compiled
#: make demo              show it: a union in a virtual machine, and what reports what
#: make vm                a shell in that machine
#: make live [KERNELS='NAME...']
#:                        a Debian of squashfs modules starts from a union of them, is used, and stops
#: make check [BASE=COMMIT]
#:                        between two edits: what concerns the files that differ from HEAD, or BASE
#: make test              what has to pass before a change lands
#: make test TESTS='PATTERN...' [KERNELS='NAME...'] [COMBOS=NAME,...] [SEED=NUMBER] [STEPS=NUMBER]
#:           [STRESS=SECONDS] [LIMIT=SECONDS]
#:                        these programs of kunit/user alone, on kernels of scripts/kernel (6.12 and 6.1), on
#:                        tmpfs, ext4, xfs, ext4+xfs or tmpfs+ext4; random ones another way, and further.
#:                        STRESS: how long each class of stress-ng or case of fuzz_calls takes; LIMIT: how
#:                        long one program may take
#: make test-all          all there is; called again for the same tree, it goes on where it was
#: make observers [KERNELS='NAME...']
#:                        what each observer reports, as a table: for this filesystem and overlayfs,
#:                        without and with aufs-observers.ko
#: make kernels [KERNELS='NAME...'] [RECORD=y]
#:                        the kernels that this runs on, as a table: built, and tests run there; or put
#:                        the table into module/KERNELS.md
#: make bench [OPS='PATTERN...'] [FILESYSTEMS='PATTERN...'] [BASES='PATTERN...'] [PROFILE=y]
#:                        what operations cost, in instructions: here, on the branch alone, and on
#:                        other unions; with PROFILE, in which functions of the kernel. A pattern
#:                        of OPS may have a size: copy_up:4096
#: make bench-check [RECORD=y]
#:                        whether those that matter most cost what is recorded; or record it
#: make bench-memory [NAMES=NUMBER] [RECORD=y]
#:                        what a million cached names take, and whether the kernel gets all of it
#:                        back; or put the table into scripts/benchmark/README.md
#: make bench-processors [OPS='PATTERN...'] [FILESYSTEMS='PATTERN...'] [TASKS='2 4 8'] [RECORD=y]
#:                        which locks processors wait for that use one union, on a kernel of its own;
#:                        or put the tables into scripts/benchmark/README.md
#: make bench-programs [PROGRAMS='PATTERN...'] [FILESYSTEMS='PATTERN...'] [BRANCHES='2 30']
#:                     [BASES='ext4 squashfs'] [FILES=NUMBER] [PEER=DIRECTORY [PEER_MODULE=FILE]]
#:                     [RECORD=y] [PROFILE=y]
#:                        what git, tar, a compiler, apt and others take on unions of 2 and of 30
#:                        branches, in hours; or put the tables into scripts/benchmark/README.md;
#:                        with PROFILE, in which functions of the kernel and programs
#: make kunit [ARCH=x86_64 [KCSAN=y] | ARCH=riscv NOMMU=1] [KERNEL=6.1] [TESTS=GLOB]
#:                        the KUnit suites, on a kernel that has vm_prfile: user-mode Linux 6.12,
#:                        or another one in QEMU; with KCSAN, which sees data races
#: make kunit-mutants [ARCH=... NOMMU=... KERNEL=...] [SITES='NUMBER...']
#:                        take vm_prfile's sites out of that kernel one by one, and see which test
#:                        fails
#: make deb               the package aufs-cxx-dkms, for DKMS on Debian 12 and 13
#: make test-deb [DEBIAN='bookworm trixie'] [FLAVOUR=amd64]
#:                        install, upgrade, boot, remove and purge it, in a root of each, with the
#:                        kernels of clouds, or those that Debian installs on a machine
#: make test-hosts [DEBIAN='bookworm trixie'] [WHOLE=y]
#:                        whether a fresh Debian 12 and 13 can build and try all this; with all of
#:                        `make test`, or with a part of it
#: make lint              clang-format, clang-tidy, checkpatch, shellcheck and others
#: make setup             install what all this needs, except for the package, arm64 and riscv
#: make clean             remove what `make` generated
