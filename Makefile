# SPDX-License-Identifier: GPL-2.0-only
#
# What a person types. `make help` tells; the kernel's build reads Kbuild instead.

export KDIR KVER LLVM C

module:
	+@scripts/build modules

compile_commands.json: module
	@scripts/compile-commands > $@.tmp && mv $@.tmp $@

clean:
	@scripts/clean

demo:
	@scripts/demo

vm:
	@scripts/vm shell

test:
	@scripts/test

lint:
	@scripts/lint

setup:
	@scripts/setup

help:
	@sed -n 's/^#: \{0,1\}//p' Makefile

.PHONY: module compile_commands.json clean demo vm test lint setup help

#: make [LLVM=1 | LLVM=-19] [KVER=RELEASE | KDIR=DIR]
#:                        build aufs.ko with clang (the newest here, or clang-19) for the
#:                        running kernel, for an installed one, or for a headers directory;
#:                        for the newest installed headers if the running kernel has none
#: make C=1               the same, and run sparse over the C files that are compiled
#: make compile_commands.json
#:                        for clangd and clang-tidy, as the last build compiled
#: make demo              show it: a union in a virtual machine, and what reports what
#: make vm                a shell in that machine
#: make test              all tests
#: make lint              clang-format, clang-tidy, checkpatch
#: make setup             install what all this needs
#: make clean             remove what `make` generated
