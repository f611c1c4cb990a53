#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A kernel module is built in a union: the source and the kernel's headers are on lower branches, and
# the objects go to the rw one.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside the union
# shellcheck disable=SC2317 # cases are called by their names
#
# Runs: in `make test-all` only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

kernel_module()
{
	local before headers
	only_on tmpfs
	need gcc make
	headers=/usr/src/linux-headers-$(uname -r)
	[ -d "$AUFS_DEBIAN$headers" ] || skip "done on the kernel whose headers the root image has"
	# debian_union makes the directories.
	mkdir -p "$AUFS_LOW/source/work/hello"
	cat >"$AUFS_LOW/source/work/hello/hello.c" <<-"C"
		#include <linux/module.h>
		#include "text.h"
		static int __init hello_init(void) { pr_info("%s\n", TEXT); return 0; }
		static void __exit hello_exit(void) { }
		module_init(hello_init);
		module_exit(hello_exit);
		MODULE_LICENSE("GPL");
		MODULE_DESCRIPTION(TEXT);
	C
	echo '#define TEXT "built in a union"' >"$AUFS_LOW/source/work/hello/text.h"
	echo 'obj-m := hello.o' >"$AUFS_LOW/source/work/hello/Kbuild"
	before=$(tree "$AUFS_LOW/source")
	between=("$AUFS_LOW/source")
	debian_union
	inside sed -i 's/built/changed/' /work/hello/text.h
	inside make -C "$headers" M=/work/hello modules
	same "the description" "$(modinfo -F description "$mnt/work/hello/hello.ko")" "changed in a union"
	[ -e "$top/work/hello/hello.ko" ] || fail "it is not on the rw branch"
	insmod "$mnt/work/hello/hello.ko"
	rmmod hello
	has "$(dmesg | tail -n 20)" "changed in a union"
	same "the source below" "$(tree "$AUFS_LOW/source")" "$before"
	rm -r "$AUFS_LOW/source"
}

run_cases kernel_module
