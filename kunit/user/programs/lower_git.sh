#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# git works in a repository on a lower branch: files that it writes, links and renames are copied up.
# git's own check of all objects and of the index judges the result.
# shellcheck disable=SC2317 # cases are called by their names
#
# More: ext4
# Runs: in `make test-all` only
set -euo pipefail
# shellcheck source=kunit/user/lib/ktap.inc
. "$(dirname "$0")/ktap.inc"

export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b HOME=$AUFS_TMP

# Makes 200 files in 10 directories, three commits, two branches, packed and loose objects, once.
make_repository()
{
	local i
	git init -q -b main "$1"
	cd "$1"
	for ((i = 0; i < 200; i++)); do
		mkdir -p "dir$((i % 10))/sub"
		echo "line $i" >"dir$((i % 10))/sub/file$i"
	done
	ln -s dir1/sub link
	chmod +x dir2/sub/file2
	git add .
	git commit -q -m first
	git gc -q
	git checkout -q -b other
	for i in 1 11 33 45 87; do
		echo other >>"dir$((i % 10))/sub/file$i"
	done
	git mv dir3 moved
	git commit -q -a -m other
	git checkout -q main
	git rm -qr dir4
	git commit -q -m third
	cd /
}

lower_repository()
{
	only_on tmpfs ext4
	need git
	[ -d "$AUFS_TMP/repository" ] || make_repository "$AUFS_TMP/repository"
	directories
	cp -a "$AUFS_TMP/repository" "$low"
	before=$(tree "$low")
	union
	cd "$mnt/repository"
}

expect_well()
{
	git fsck --full --strict
	same "git status" "$(git status --porcelain)" ""
	same "the lower branch" "$(tree "$low")" "$before"
	[ ! -d "$top/.wh..wh.orph" ] || same "workfiles" "$(ls -A "$top/.wh..wh.orph")" ""
	cd "$mnt/repository"
}

expect_well_after_remount()
{
	local was is
	same "git status" "$(git status --porcelain)" ""
	was=$(git log --all --format=%H && tree .)
	cd /
	unmount_all
	union
	cd "$mnt/repository"
	is=$(git log --all --format=%H && tree .)
	[ "$was" = "$is" ] || fail "it is not what it was: $(diff <(echo "$was") <(echo "$is") | head -n 20)"
	expect_well
}

clone()
{
	lower_repository
	# Objects become hard links of lower ones, or are packed anew.
	git clone -q . ../linked
	git clone -q --no-local . ../packed
	diff -r --exclude=.git . ../linked
	diff -r --exclude=.git . ../packed
	git -C ../linked checkout -q other
	git -C ../linked fsck --full --strict
	git -C ../packed fsck --full --strict
	same "git status" "$(git -C ../linked status --porcelain && git -C ../packed status --porcelain)" ""
	rm -rf ../linked ../packed
	same "what is left" "$(ls -A ..)" repository
	expect_well_after_remount
}

branches_commits_and_merges()
{
	lower_repository
	same "git status" "$(git status --porcelain)" ""
	git checkout -q other
	same "the directories" "$(listed .)" \
		".git dir0 dir1 dir2 dir4 dir5 dir6 dir7 dir8 dir9 link moved"
	echo more >>dir5/sub/file5
	git commit -q -a -m fourth
	git checkout -q -b third main
	echo mine >>dir6/sub/file6
	git stash -q
	git stash pop -q
	git commit -q -a -m mine
	git rebase -q other
	git checkout -q main
	git merge -q -m merged third
	same "the directories" "$(listed .)" ".git dir0 dir1 dir2 dir5 dir6 dir7 dir8 dir9 link moved"
	same "the changed file" "$(tail -n 1 dir6/sub/file6)" mine
	git reset -q --hard HEAD~1
	git reset -q --hard 'HEAD@{1}'
	echo junk >junk
	rm -r dir7
	git checkout -q -- dir7
	git clean -qfdx
	git tag one
	git branch -D third >/dev/null
	expect_well_after_remount
}

gc_repack_and_prune()
{
	lower_repository
	git gc -q --aggressive --prune=now
	git fsck --full --strict
	# The commit graph would name commits that go.
	rm .git/objects/info/commit-graph
	git branch -q -D other
	git reflog expire --expire=now --all
	git repack -q -a -d
	git prune --expire=now
	git pack-refs --all
	expect_well_after_remount
	same "loose objects" "$(git count-objects)" "0 objects, 0 kilobytes"
}

worktrees()
{
	lower_repository
	git worktree add -q ../tree other
	echo x >>../tree/dir1/sub/file1
	git -C ../tree commit -q -a -m x
	git worktree move ../tree ../tree2
	same "worktrees" "$(git worktree list | wc -l)" 2
	same "git status" "$(git -C ../tree2 status --porcelain)" ""
	git worktree remove ../tree2
	git worktree prune
	same "worktrees" "$(git worktree list | wc -l)" 1
	expect_well_after_remount
}

case ${AUFS_COMBO:-tmpfs} in
tmpfs) run_cases clone branches_commits_and_merges gc_repack_and_prune ;;
*) run_cases worktrees ;;
esac
