#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Trees on a lower branch, with all attributes that files can have. Programs copy, move, pack and remove
# them in the union as on any filesystem, and leave the branch as it is.
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4 xfs ext4+xfs tmpfs+ext4
# Runs: on 6.12 only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

# Hard links, holes, symlinks, a FIFO, a device, attributes, ACLs, set-id bits, times, odd names.
lower_tree()
{
	local i
	need setfacl setfattr python3
	directories
	mkdir -p "$low/tree/"{plain,deep/a/b/c,many,'odd name'}
	for ((i = 0; i < 40; i++)); do
		echo "$i" >"$low/tree/many/file$i"
	done
	seq 20000 >"$low/tree/plain/big"
	ln "$low/tree/plain/big" "$low/tree/plain/link"
	ln "$low/tree/plain/big" "$low/tree/deep/a/b/c/link"
	truncate -s 1M "$low/tree/plain/sparse"
	printf data | dd of="$low/tree/plain/sparse" bs=64K seek=8 conv=notrunc status=none
	ln -s ../plain/big "$low/tree/deep/symlink"
	ln -s nowhere "$low/tree/deep/dangling"
	mkfifo -m 640 "$low/tree/plain/fifo"
	mknod "$low/tree/plain/null" c 1 3
	echo setuid >"$low/tree/plain/setuid"
	chown 1000:1001 "$low/tree/plain/setuid"
	chmod 6755 "$low/tree/plain/setuid"
	setfacl -m u:1002:rw,g:1003:r "$low/tree/plain/big"
	setfacl -d -m u:1002:rwx "$low/tree/deep"
	setfattr -n trusted.mine -v value "$low/tree/plain/setuid"
	echo odd >"$low/tree/odd name/"$'new\nline'
	touch -h -d 2001-02-03T04:05:06.789 "$low/tree/plain/big" "$low/tree/deep/symlink" "$low/tree/deep" \
		"$low/tree/plain" "$low/tree/many"
	before=$(tree "$low")
	union
	cd "$mnt"
}

# listing DIR: all that a copy has in common with its original if it preserves all. ACLs are attributes.
# Those in which XFS keeps them do not count: cp leaves them out, too (/etc/xattr.conf).
listing()
{
	python3 - "$1" <<-'PYTHON'
		import os, stat, sys, zlib
		os.chdir(sys.argv[1])
		paths = [os.path.join(at, name) for at, dirs, files in os.walk(".") for name in dirs + files]
		for path in sorted(paths) + ["."]:
		    is_ = os.lstat(path)
		    names = [name for name in sorted(os.listxattr(path, follow_symlinks=False))
		             if not name.startswith(("trusted.aufs.", "trusted.SGI_ACL_"))]
		    print(repr(path), oct(is_.st_mode), is_.st_uid, is_.st_gid, is_.st_mtime_ns, is_.st_rdev,
		          [(name, os.getxattr(path, name, follow_symlinks=False)) for name in names], end=" ")
		    if stat.S_ISDIR(is_.st_mode):
		        print()
		    elif stat.S_ISLNK(is_.st_mode):
		        print(os.readlink(path), is_.st_nlink)
		    else:
		        content = open(path, "rb").read() if stat.S_ISREG(is_.st_mode) else b""
		        print(is_.st_nlink, is_.st_size, zlib.crc32(content))
	PYTHON
}

expect_alike() # DIR DIR
{
	local first second
	first=$(listing "$1") second=$(listing "$2")
	has "$first" ./plain/sparse
	[ "$first" = "$second" ] || fail "$1 and $2 differ: $(diff <(echo "$first") <(echo "$second") | head -n 20)"
}

expect_lower_as_it_was()
{
	same "the lower branch" "$(tree "$low" | cksum)" "$(cksum <<<"$before")"
	[ ! -d "$top/.wh..wh.orph" ] || same "workfiles" "$(ls -A "$top/.wh..wh.orph")" ""
	[ "$(find "$mnt" -name '.wh.*')" = "" ] || fail "reserved names are seen"
}

# A copy of a sparse file takes an eighth of its size at most: 512 bytes a block.
expect_sparse() # FILE
{
	same "the size of $1" "$(stat -c %s "$1")" $((1 << 20))
	[ "$(stat -c %b "$1")" -le 256 ] || fail "$1 has $(stat -c %b "$1") blocks"
}

cp_in_each_way()
{
	local before_copy
	lower_tree
	before_copy=$(listing "$low/tree")
	cp -a tree copy
	cp -a --reflink=auto --sparse=always "$low/tree" from_below
	cp -al tree linked
	expect_alike tree linked
	rm -r linked
	expect_alike tree copy
	expect_alike from_below copy
	expect_sparse copy/plain/sparse
	[ "$before_copy" = "$(listing tree)" ] || fail "the tree is no longer what it was"
	# Onto a tree that is there already.
	echo changed >tree/plain/big
	cp -a copy/. tree
	expect_alike tree copy
	expect_lower_as_it_was
}

tar_and_rsync()
{
	need tar rsync
	lower_tree
	mkdir unpacked synced
	tar --acls --xattrs --xattrs-include='*' -S -cf archive tree
	tar --acls --xattrs --xattrs-include='*' -S -C unpacked -xpf archive
	tar --acls --xattrs -df archive
	rsync -aHAXS --modify-window=-1 tree synced
	expect_alike tree unpacked/tree
	expect_alike tree synced/tree
	# Onto the lower tree: all of it, and then only the differences.
	tar --acls --xattrs --xattrs-include='*' -S -xpf archive
	expect_alike tree unpacked/tree
	rm tree/many/file7
	echo more >>tree/many/file8
	touch tree/plain/new
	same "what rsync does" "$(rsync -aHAXSi --modify-window=-1 --delete unpacked/tree/ tree | grep -v '^\.d' | sort | xargs)" \
		"$(printf '%s\n' '*deleting plain/new' '>f+++++++++ many/file7' '>f.st...... many/file8' | sort | xargs)"
	expect_alike tree unpacked/tree
	expect_sparse unpacked/tree/plain/sparse
	expect_sparse synced/tree/plain/sparse
	expect_lower_as_it_was
}

mv_of_directories()
{
	local what
	lower_tree
	what=$(listing "$low/tree")
	# mv copies a lower directory, and renames one of the rw branch.
	mv tree moved
	[ ! -e tree ] || fail "it is still there"
	[ "$what" = "$(listing moved)" ] || fail "it is not what was moved: $(diff <(echo "$what") <(listing moved) | head)"
	mv moved tree
	[ "$what" = "$(listing tree)" ] || fail "it is not what was moved"
	mv tree/many/file1 tree/deep/a/b
	mv tree/deep/a tree/a
	mv -T tree/many/file2 tree/many/file3
	same "file3" "$(cat tree/many/file3)" 2
	unmount_all_and_mount
	same "file1" "$(cat tree/a/b/file1)" 1
	[ ! -e tree/deep/a ] || fail "a directory that was moved is back after a remount"
	[ ! -e tree/many/file2 ] || fail "a file that was moved is back after a remount"
	expect_lower_as_it_was
}

unmount_all_and_mount()
{
	cd /
	unmount_all
	union
	cd "$mnt"
}

rm_find_and_du()
{
	lower_tree
	same "find" "$(find . | sort | cksum)" "$(cd "$low" && find . | sort | cksum)"
	same "du" "$(du -s --apparent-size -B1 tree/many tree/plain | sed 's/\t.*//' | xargs)" \
		"$(cd "$low" && du -s --apparent-size -B1 tree/many tree/plain | sed 's/\t.*//' | xargs)"
	same "hard links" "$(find . -samefile tree/plain/big | sort | xargs)" \
		"./tree/deep/a/b/c/link ./tree/plain/big ./tree/plain/link"
	find tree/many -name '*5' -delete
	same "what find sees" "$(find tree/many -type f | wc -l)" 36
	same "what readdir gives" "$(listed tree/many | wc -w)" 36
	rm -rf tree
	same "what is left" "$(ls -A)" ""
	mkdir tree
	same "what is left" "$(ls -A tree)" ""
	unmount_all_and_mount
	same "what is left" "$(find .)" $'.\n./tree'
	cp -a "$low/tree/." tree
	expect_alike tree "$low/tree"
	expect_lower_as_it_was
}

# A name of a file with several names is written to, removed and replaced; the others are checked.
hard_links()
{
	lower_tree
	echo changed >>tree/plain/link
	for name in tree/plain/big tree/plain/link tree/deep/a/b/c/link; do
		same "$name" "$(tail -n 1 "$name")" changed
		same "the links of $name" "$(stat -c %h "$name")" 3
	done
	cp -a tree copy
	expect_alike tree copy
	rm tree/plain/big
	same "the links" "$(stat -c %h tree/deep/a/b/c/link)" 2
	sed -i s/changed/again/ tree/plain/link
	same "the links" "$(stat -c %h tree/plain/link tree/deep/a/b/c/link | xargs)" "1 1"
	same "the last line" "$(tail -n 1 tree/deep/a/b/c/link)" changed
	unmount_all_and_mount
	same "the links" "$(stat -c %h tree/plain/link tree/deep/a/b/c/link | xargs)" "1 1"
	same "the last line" "$(tail -n 1 tree/deep/a/b/c/link)" changed
	same "the last line" "$(tail -n 1 tree/plain/link)" again
	expect_lower_as_it_was
}

case ${AUFS_COMBO:-tmpfs} in
tmpfs) run_cases cp_in_each_way tar_and_rsync mv_of_directories rm_find_and_du hard_links ;;
ext4) run_cases cp_in_each_way ;;
*) run_cases hard_links ;;
esac
