#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A union under SELinux: a copy keeps the label of its original, a new object gets the label that the
# policy says, a caller that may not write before a copy-up may not after it, the caller is judged by the
# union's label alone, context= and its like work, and mprotect(2) is judged by the descriptor that the
# caller has opened.
#
# Boot: security=selinux
# Combinations: tmpfs ext4
# shellcheck disable=SC2317,SC2154 # cases are called by their names; ktap.inc sets top, low and mnt
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# A policy of a few lines. All runs as boot_t, which may do everything; caller_t may not write to objects
# with the label sealed_t, and do nothing with those with closed_t; alone_t may not use descriptors that others
# have opened. Classes and permissions that the policy does not name are allowed.
policy()
{
	local class sid

	for class in process fd file dir lnk_file fifo_file filesystem; do
		echo "class $class"
	done
	# In the order of the kernel's numbers.
	for sid in kernel security unlabeled fs file file_labels init any_socket port netif netmsg node \
		igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net \
		sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull; do
		echo "sid $sid"
	done
	echo "class process { transition dyntransition }"
	echo "class fd { use }"
	for class in file dir lnk_file fifo_file; do
		echo "class $class { read write append create setattr relabelto }"
	done
	echo "class filesystem { associate }"
	cat <<'END'
sensitivity s0;
dominance { s0 }
category c0;
category c1;
category c2;
level s0:c0.c2;
mlsconstrain filesystem { associate } ( l2 eq h2 );
attribute label;
type boot_t, label;
type caller_t, label;
type alone_t, label;
type tree_t, label;
type sealed_t, label;
type closed_t, label;
type made_by_boot_t, label;
type made_by_caller_t, label;
type asked_for_t, label;
type mounted_t, label;
role system_r;
role object_r;
role system_r types label;
role object_r types label;
allow { boot_t caller_t } label:process { transition dyntransition };
allow { boot_t caller_t } label:fd use;
allow alone_t self:fd use;
allow { boot_t alone_t } label:{ file dir lnk_file fifo_file } *;
allow caller_t { label -sealed_t -closed_t }:{ file dir lnk_file fifo_file } *;
allow caller_t sealed_t:{ file dir lnk_file fifo_file } { read };
allow label label:filesystem associate;
type_transition boot_t tree_t:{ file dir lnk_file fifo_file } made_by_boot_t;
type_transition caller_t tree_t:{ file dir lnk_file fifo_file } made_by_caller_t;
user system_u roles { system_r object_r } level s0 range s0 - s0:c0.c2;
END
	for sid in kernel security unlabeled fs file file_labels init any_socket port netif netmsg node \
		igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net \
		sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull; do
		echo "sid $sid $(context boot_t system_r)"
	done
	for sid in ext4 xfs tmpfs aufs overlay; do
		echo "fs_use_xattr $sid $(context boot_t);"
	done
	echo "genfscon proc / $(context boot_t)"
}

# context TYPE [ROLE [CATEGORIES]]
context()
{
	echo "system_u:${2:-object_r}:$1:s0${3:+:$3}"
}

selinuxfs=/sys/fs/selinux

# Loads the policy, once in this boot.
start()
{
	[ -e "$selinuxfs" ] || skip "SELinux is not active: boot with security=selinux"
	[ -e "$selinuxfs/load" ] || mount_at -t selinuxfs selinuxfs "$selinuxfs"
	need checkpolicy getfattr
	if [ "$(tr -d '\0' </proc/self/attr/current)" != "$(context boot_t system_r)" ]; then
		policy >"$AUFS_TMP/policy.text"
		checkpolicy -M -U allow -c 31 -o "$AUFS_TMP/policy" "$AUFS_TMP/policy.text"
		cat "$AUFS_TMP/policy" >"$selinuxfs/load"
	fi
	echo 1 >"$selinuxfs/enforce"
}

# label FILE: the type in its label
label()
{
	local text
	text=$(getfattr -h -n security.selinux --only-values "$1" 2>/dev/null | tr -d '\0')
	cut -d: -f3 <<<"$text"
}

relabel() # TYPE FILE...
{
	local type=$1 file
	shift
	for file; do
		setfattr -h -n security.selinux -v "$(context "$type")" "$file"
	done
}

# as_caller COMMAND...: in the domain caller_t
as_caller()
{
	(
		printf %s "$(context caller_t system_r)" >/proc/self/attr/current
		"$@"
	)
}

# as_alone COMMAND...: in the domain alone_t. It cannot print: its standard output is of others.
as_alone()
{
	(
		printf %s "$(context alone_t system_r)" >/proc/self/attr/current
		exec "$@"
	)
}

# Makes objects of each kind with the label sealed_t, in a directory with tree_t.
lower_tree()
{
	directories
	relabel tree_t "$top" "$low"
	mkdir "$low/dir" "$low/dir/sub"
	echo old >"$low/file"
	echo old >"$low/dir/file"
	ln -s nowhere "$low/symlink"
	mkfifo "$low/fifo"
	chmod 666 "$low/file" "$low/fifo"
	relabel sealed_t "$low/file" "$low/symlink" "$low/fifo" "$low/dir/sub" "$low/dir/file"
	relabel tree_t "$low/dir"
}

copies_keep_their_labels()
{
	local name
	start
	lower_tree
	union
	echo more >>"$mnt/file"
	chmod 600 "$mnt/fifo"
	touch -h "$mnt/symlink"
	chmod 700 "$mnt/dir/sub"
	mv "$mnt/dir/file" "$mnt/dir/moved"
	for name in file fifo symlink dir/sub; do
		same "the label of $name" "$(label "$mnt/$name")" sealed_t
		same "the label of $name's copy" "$(label "$top/$name")" sealed_t
	done
	same "the label of dir's copy" "$(label "$top/dir")" tree_t
	same "the label of what was renamed" "$(label "$top/dir/moved")" sealed_t
	same "the content" "$(xargs <"$mnt/file")" "old more"
	unmount_all
}

# Also if the caller asks for a label.
new_objects_get_the_label_that_the_policy_says()
{
	start
	lower_tree
	union
	touch "$mnt/file_of_boot"
	as_caller mkdir "$mnt/dir_of_caller"
	as_caller touch "$mnt/file_of_caller" "$mnt/dir/file_of_caller"
	as_caller ln -s x "$mnt/symlink_of_caller"
	as_caller mkfifo "$mnt/fifo_of_caller"
	as_caller python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR)
# linkat(2), as link(2) does not follow
os.link(f"/proc/self/fd/{fd}", sys.argv[1] + "/tmpfile_of_caller", src_dir_fd=fd)' "$mnt"
	(
		printf %s "$(context asked_for_t)" >/proc/self/attr/fscreate
		printf x >"$mnt/asked_for"
	)
	for name in file_of_boot:made_by_boot_t dir_of_caller:made_by_caller_t \
		file_of_caller:made_by_caller_t dir/file_of_caller:made_by_caller_t \
		symlink_of_caller:made_by_caller_t fifo_of_caller:made_by_caller_t \
		tmpfile_of_caller:made_by_caller_t asked_for:asked_for_t; do
		same "the label of $name" "$(label "$mnt/${name%:*}")" "${name#*:}"
		same "the label of $name on the branch" "$(label "$top/${name%:*}")" "${name#*:}"
	done
	unmount_all
}

who_may_not_write_may_not_after_a_copy_up()
{
	start
	lower_tree
	union
	# shellcheck disable=SC2016
	local try='echo bad >>"$1"'
	as_caller cat "$mnt/file" >/dev/null
	if as_caller sh -c "$try" sh "$mnt/file"; then fail "written to before the copy-up"; fi
	[ ! -e "$top/file" ] || fail "the refused write has copied up"
	echo more >>"$mnt/file"
	if as_caller sh -c "$try" sh "$mnt/file"; then fail "written to after the copy-up"; fi
	as_caller sh -c "$try" sh "$mnt/made"
	relabel tree_t "$mnt/file"
	as_caller sh -c "$try" sh "$mnt/file"
	same "the content" "$(xargs <"$mnt/file")" "old more bad"
	unmount_all
}

# A branch file was opened by the mounter. The kernel keeps with it who opened the union's file, through each union
# that lies in between.
mprotect_is_judged_by_the_callers_descriptor()
{
	local outer=$AUFS_TMP/outer file
	newer_kernel 6 8 || skip "6.1 denies alone_t any program of an overlayfs, this guest's root"
	start
	lower_tree
	head -c 8192 /dev/zero >"$low/mapped"
	union
	mkdir -p "$outer"
	mount_at -t aufs -o "ro,br=$mnt=ro" none "$outer"
	if as_alone sh -c 'cat >/dev/null' <"$low/mapped"; then fail "a descriptor of others can be used"; fi
	for file in "$mnt/mapped" "$outer/mapped"; do
		as_alone python3 -c '
import ctypes, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
area = mmap.mmap(fd, 4096, access=mmap.ACCESS_COPY)
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
libc = ctypes.CDLL(None, use_errno=True)
failed = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), mmap.PROT_READ)
os._exit(ctypes.get_errno() if failed else 0)' "$file" || fail "mprotect(2) of $file: errno $?"
	done
	unmount_all
	mounted=()
	rmdir "$outer"
}

# use_in_each_way DIRECTORY: the calls for an open file, on "file" and "copy" there
use_in_each_way()
{
	python3 -c '
import os, sys
file = os.open(sys.argv[1] + "/file", os.O_RDWR)
copy = os.open(sys.argv[1] + "/copy", os.O_RDWR)
os.write(file, b"more text")
assert os.pread(file, 9, 0) == b"more text"
os.posix_fallocate(file, 0, 8192)
assert os.sendfile(copy, file, 0, 9) == 9
assert os.copy_file_range(file, copy, 4, 0, 100) == 4
os.fsync(copy)
assert os.pread(copy, 9, 0) == b"more text" and os.pread(copy, 4, 100) == b"more"' "$1"
}

# A caller of any call for an open file is judged by the union's label. The label of the branch's file is for
# the mounter.
who_may_use_a_file_is_not_judged_by_its_branch()
{
	start
	lower_tree
	for name in file copy; do
		echo text >"$top/$name"
		relabel closed_t "$top/$name"
	done
	if as_caller cat "$top/file"; then fail "the policy closes nothing"; fi
	by_mount_2 "br=$top=rw:$low=ro,context=$(context mounted_t)"
	as_caller use_in_each_way "$mnt"
	same "the size of the file on the branch" "$(stat -c %s "$top/file")" 8192
	unmount_all
	mounted=()
	rm "$top/file" "$top/copy"
}

# Nor is it judged by what the mounter may do with a descriptor of the caller's.
who_may_use_a_file_is_not_judged_by_the_mounter()
{
	start
	lower_tree
	for name in file copy; do
		echo text >"$top/$name"
		relabel tree_t "$top/$name"
	done
	# It opens nothing in the domain: 6.1 denies alone_t the files of an overlayfs, this guest's root.
	python3 -c '
import ctypes, os, sys
mount = ctypes.CDLL(None, use_errno=True).mount
domain = os.open("/proc/self/attr/current", os.O_WRONLY)
os.write(domain, sys.argv[3].encode())
failed = mount(b"none", sys.argv[1].encode(), b"aufs", 0, sys.argv[2].encode())
os._exit(ctypes.get_errno() if failed else 0)' "$mnt" "br=$top=rw:$low=ro" "$(context alone_t system_r)" ||
		fail "mount(2) by alone_t: errno $?"
	mounted+=("$mnt")
	as_caller use_in_each_way "$mnt"
	same "the size of the file on the branch" "$(stat -c %s "$top/file")" 8192
	unmount_all
	mounted=()
	rm "$top/file" "$top/copy"
}

# by_mount_2 OPTIONS: mount(2), which mount(8) does not always call
by_mount_2()
{
	mount_2 0 "$1"
	mounted+=("$mnt")
}

mount_2() # FLAGS OPTIONS
{
	python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b"none", sys.argv[1].encode(), b"aufs", int(sys.argv[2]), sys.argv[3].encode()):
    sys.exit(os.strerror(ctypes.get_errno()))' "$mnt" "$1" "$2"
}

# by_fsconfig OPTION...: mounts by fsopen(2) and its like
by_fsconfig()
{
	python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
move_mount, fsopen, fsconfig, fsmount = 429, 430, 431, 432
def call(*arguments):
    result = libc.syscall(*arguments)
    if result < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return result
fs = call(fsopen, b"aufs", 0)
for option in sys.argv[2:]:
    key, value = option.encode().split(b"=", 1)
    call(fsconfig, fs, 1, key, value, 0)
call(fsconfig, fs, 6, None, None, 0)
mount = call(fsmount, fs, 0, 0)
call(move_mount, mount, b"", -100, sys.argv[1].encode(), 4)' "$mnt" "$@"
	mounted+=("$mnt")
}

contexts_come_through()
{
	local br option type
	start
	lower_tree
	# A path with a comma that does not split the options, and the text of an option behind it.
	mkdir "$AUFS_TMP/x,seclabel"
	br="br=$top=rw:$low=ro:$AUFS_TMP/x\\,seclabel"
	type=$(context mounted_t object_r c0,c2)
	for option in "$br,context=\"$type\"" "context=\"$type\",$br,sum" \
		"$br,context=$(context mounted_t)"; do
		echo "$option"
		by_mount_2 "$option"
		same "the label of a lower file" "$(label "$mnt/file")" mounted_t
		echo more >>"$mnt/file"
		touch "$mnt/new"
		same "the label of a new file" "$(label "$mnt/new")" mounted_t
		same "the label of its branch's" "$(label "$top/new")" mounted_t
		has "$(grep " $mnt " /proc/mounts)" mounted_t
		has "$(cat /sys/fs/aufs/si_*/br2)" seclabel=ro
		# A remount repeats the options of /proc/mounts. Another label is refused, and changes nothing.
		mount -i -o remount,noatime "$mnt"
		has "$(grep " $mnt " /proc/mounts)" mounted_t
		has "$(grep " $mnt " /proc/mounts)" noatime
		same "the label of a lower file after a remount" "$(label "$mnt/file")" mounted_t
		# mount(8) leaves the label out. MS_REMOUNT is 32.
		mount_2 32 "${option#"$br,"}"
		! mount_2 32 "context=$(context boot_t)" || fail "a remount changes the label"
		same "the label of a lower file after all" "$(label "$mnt/file")" mounted_t
		unmount_all
		mounted=()
		rm -rf "$top/new" "$top/file"
	done
	for option in "rootcontext=\"$type\"" "fscontext=$(context mounted_t)" \
		"defcontext=$(context mounted_t)"; do
		echo "$option"
		by_mount_2 "$option,$br"
		[[ $option != root* ]] || same "the label of the root" "$(label "$mnt")" mounted_t
		same "the label of a lower file" "$(label "$mnt/file")" sealed_t
		unmount_all
		mounted=()
	done
	by_fsconfig "br=$top=rw:$low=ro" "context=$type"
	same "by fsconfig(2), the label of a lower file" "$(label "$mnt/file")" mounted_t
	unmount_all
	rm -r "$AUFS_TMP/x,seclabel"
}

run_cases copies_keep_their_labels new_objects_get_the_label_that_the_policy_says \
	who_may_not_write_may_not_after_a_copy_up mprotect_is_judged_by_the_callers_descriptor \
	who_may_use_a_file_is_not_judged_by_its_branch who_may_use_a_file_is_not_judged_by_the_mounter \
	contexts_come_through
