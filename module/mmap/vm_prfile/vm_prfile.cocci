// SPDX-License-Identifier: GPL-2.0-only
//
// vm_prfile: a mapping is served by vm_file and reported as vm_prfile. One semantic patch for any
// kernel; scripts/linux/kernel-tree applies it, vm_prfile.h says what the calls do, and
// scripts/vm_prfile/vm_prfile-check proves that no site is left.
//
// V is an expression wherever vm_file can only be a vma's, so that no type must be known; the rules
// for regions come first and are typed. A rule that a kernel has no site for does nothing there.

// ---- the members ----------------------------------------------------------------------------

@member@
attribute name __randomize_layout;
identifier S = {vm_area_struct, vm_region};
@@
 struct S {
	...
+	struct file *vm_prfile;
	struct file *vm_file;
	...
 };

// The marker lets vm_prfile.h provide what a kernel lacks.
@marker@
identifier fn = {file_user_path, file_user_inode};
@@
fn(...) { ... }
+
+#define fn fn

// ---- references ------------------------------------------------------------------------------

// BPF: a program that walks a task's vmas gets copies of them, with the one file that the verifier
// lets it read: the reported one. (On kernels that hand out the vma itself, it can read vm_prfile.)
@snapshot exists@
struct vm_area_struct *S;
struct vm_area_struct *V;
@@
  memcpy(S, V, sizeof(*S));
+ vma_snapshot_reported(S);
  ... when any
  get_file(S->vm_file);

// Such a copy has no prfile: its one reference is taken and put as that of any file.
@snapshot_own exists@
identifier fn =~ "^bpf_iter_task_vma_";
struct vm_area_struct *S;
position p;
@@
 fn(...) {
 ... when any
(
 get_file@p(S->vm_file);
|
 fput@p(S->vm_file);
)
 ... when any
 }

@region_put@
struct vm_region *R;
@@
- fput(R->vm_file);
+ region_put_file(R);

@get@
expression V;
position p != snapshot_own.p;
@@
- get_file@p(V->vm_file);
+ vma_get_file(V);

@put@
expression V;
position p != snapshot_own.p;
@@
- fput@p(V->vm_file);
+ vma_put_file(V);

// A neighbour that was merged away: its own references go, whatever the kernel's code calls its file.
@neighbour_put@
expression N, F;
@@
  uprobe_munmap(N, ...);
- fput(F);
+ vma_put_file(N);

// fork: the reference that the child's vma keeps. A reference that is put again in the same block
// belongs to code that looks at the file for a while (madvise, msync, khugepaged).
@fork_get@
expression V;
idexpression struct file *F;
@@
  F = V->vm_file;
  if (F) {
  ... when != fput(F)
- get_file(F);
+ vma_get_file(V);
  ... when != fput(F)
  }

// Kernels whose vm_area_dup() copies field by field.
@fieldwise_copy@
struct vm_area_struct *A;
struct vm_area_struct *B;
@@
+ A->vm_prfile = B->vm_prfile;
  A->vm_file = B->vm_file;

// ---- merging ---------------------------------------------------------------------------------
//
// A request for a merge carries the file that it is for; beside it, now, the prfile. A request for
// a mapping that does not exist yet (mmap, brk) has none.

@request_member@
identifier S = vma_merge_struct;
@@
 struct S {
	...
+	struct file *prfile;
	struct file *file;
	...
 };

@request_test@
expression V;
struct vma_merge_struct *M;
statement S;
@@
 if (V->vm_file != M->file
+    || !vma_may_merge(V, M->prfile)
 ) S

@request_file@
expression V;
struct vma_merge_struct M;
@@
  M.file = V->vm_file;
+ M.prfile = V->vm_prfile;

// If ->mmap() changed the flags of a new mapping, that may merge with the mapping before it after all.
// The two must agree on the files that the new mapping has by now, not on the file of the request.
// (Up to 6.8 the kernel does so; later ones ask once more when they have the mapping itself.)
@request_again exists@
expression V;
identifier M;
@@
  M.flags = V->vm_flags;
+ M.file = V->vm_file;
+ M.prfile = V->vm_prfile;
  ... when any
  vma_merge_new_range(&M)

// Up to 6.8 a request is a list of parameters.
@merge_parameter@
identifier fn = {is_mergeable_vma, can_vma_merge_before, can_vma_merge_after, vma_merge};
identifier F;
parameter list[n] before;
parameter list after;
type T;
@@
 T fn(before, struct file *F,
+     struct file *prfile,
      after)
 { ... }

@merge_prototype@
identifier fn = vma_merge;
parameter list[n] before;
parameter list after;
type T;
@@
 T fn(before, struct file *,
+     struct file *,
      after);

@merge_test@
identifier merge_parameter.fn, merge_parameter.F;
expression V;
statement S;
@@
 fn(...) {
 <...
 if (V->vm_file != F
+    || !vma_may_merge(V, prfile)
 ) S
 ...>
 }

@merge_pass@
identifier merge_parameter.fn, merge_parameter.F;
identifier called = {is_mergeable_vma, can_vma_merge_before, can_vma_merge_after};
expression list[n] before;
@@
 fn(...) {
 <...
 called(before, F
+       , prfile
        , ...)
 ...>
 }

@merge_call@
identifier called = {can_vma_merge_before, can_vma_merge_after, vma_merge};
expression list[n] before;
expression V;
@@
 called(before, V->vm_file
+       , V->vm_prfile
        , ...)

@merge_new@
identifier fn != {can_vma_merge_before, can_vma_merge_after, vma_merge};
identifier called = {can_vma_merge_before, can_vma_merge_after};
expression A, B, C, F;
expression list[3] rest;
@@
 fn(...) {
 <...
 called(A, B, C, F,
+       NULL,
        rest)
 ...>
 }

// remap_file_pages() maps a part of a mapping anew, so the file to map is the one that the mapping
// reports: its filesystem finds the one that serves, and the new mapping reports as the old one.
@remap exists@
idexpression struct file *F;
expression V, N;
@@
  F = get_file(
-              V->vm_file
+              vma_reported_file(V)
              );
  ... when any
- V->vm_file != F
+ vma_reported_file(V) != F
  ... when any
- N->vm_file != V->vm_file
+ N->vm_file != V->vm_file || !vma_may_merge(N, V->vm_prfile)
  ... when any
  do_mmap(
- V->vm_file
+ vma_reported_file(V)
  , ...)

// ---- NOMMU -----------------------------------------------------------------------------------
//
// A region is found for sharing by the inode of its file. What matters is whose pages they are: two
// regions at one address are what the tree of regions forbids (BUG), and a file of the branch, one of
// the union, and one of another union of the same branch are three inodes with the same pages. So
// the filesystem is asked whether both files are served by the same inode. do_mmap() gives the
// region the user's file, and what ->mmap() does to the vma leaves it that: the region needs no
// prfile for what it reports. A filesystem may all the same replace vm_file, as long as it sets the
// prfile.
@region_share@
struct vm_region *R;
expression F;
@@
- file_inode(R->vm_file) != file_inode(F)
+ !region_may_share(R, F)

// ---- observers -------------------------------------------------------------------------------

@show_region@
struct vm_region *R;
@@
(
 file_user_path(
- R->vm_file
+ region_reported_file(R)
 )
|
 file_user_inode(
- R->vm_file
+ region_reported_file(R)
 )
)

@show_vma@
expression V;
@@
(
 file_user_path(
- V->vm_file
+ vma_reported_file(V)
 )
|
 file_user_inode(
- V->vm_file
+ vma_reported_file(V)
 )
|
 file_path(
- V->vm_file
+ vma_reported_file(V)
 , ...)
)

@show_path@
expression V;
@@
(
- &V->vm_file->f_path
+ file_user_path(vma_reported_file(V))
|
- V->vm_file->f_path
+ *file_user_path(vma_reported_file(V))
)

// Device and inode number: code that looks at s_dev does not want to read the file.
@show_region_inode@
struct vm_region *R;
identifier I;
@@
- struct inode *I = file_inode(R->vm_file);
+ const struct inode *I = file_user_inode(region_reported_file(R));
  ... when any
  I->i_sb->s_dev

@show_vma_inode@
expression V;
identifier I;
@@
- struct inode *I = file_inode(V->vm_file);
+ const struct inode *I = file_user_inode(vma_reported_file(V));
  ... when any
  I->i_sb->s_dev

@show_vma_inode_later exists@
expression V;
identifier I;
@@
- struct inode *I;
+ const struct inode *I;
  ... when any
  I =
- file_inode(V->vm_file)
+ file_user_inode(vma_reported_file(V))
  ;
  ... when any
  I->i_sb->s_dev

// A variable of the file that is later shown.
@show_region_initial exists@
struct vm_region *R;
identifier F;
expression E;
@@
 struct file *F =
- R->vm_file
+ region_reported_file(R)
 ;
 ... when any
(
 file_user_path(F)
|
 seq_file_path(E, F, ...)
|
 &F->f_path
)

@show_region_assigned exists@
struct vm_region *R;
idexpression struct file *F;
expression E;
@@
 F =
- R->vm_file
+ region_reported_file(R)
 ... when any
(
 file_user_path(F)
|
 seq_file_path(E, F, ...)
|
 &F->f_path
)

@show_vma_initial exists@
expression V, E;
identifier F;
constant char [] fmt =~ "%pD";
@@
 struct file *F =
- V->vm_file
+ vma_reported_file(V)
 ;
 ... when any
(
 file_user_path(F)
|
 file_user_inode(F)
|
 seq_file_path(E, F, ...)
|
 file_path(F, ...)
|
 &F->f_path
|
 perf_addr_filter_match(E, F, ...)
|
 printk(fmt, ..., F, ...)
)

@show_vma_assigned exists@
expression V, E;
idexpression struct file *F;
constant char [] fmt =~ "%pD";
@@
 F =
- V->vm_file
+ vma_reported_file(V)
 ... when any
(
 file_user_path(F)
|
 file_user_inode(F)
|
 seq_file_path(E, F, ...)
|
 file_path(F, ...)
|
 &F->f_path
|
 perf_addr_filter_match(E, F, ...)
|
 printk(fmt, ..., F, ...)
)

// Named one by one: Debian 12's spatch takes Perl's regular expressions, Debian 13's those of OCaml's Str.
@show_printk@
expression V;
identifier fn = {printk, _printk, pr_emerg, pr_alert, pr_crit, pr_err, pr_warn, pr_notice, pr_info, pr_cont, pr_debug,
		 seq_printf, trace_seq_printf};
constant char [] fmt =~ "%pD";
@@
 fn(fmt, ...,
- V->vm_file
+ vma_reported_file(V)
 , ...)

// The inode of a filter is what its path leads to: the user's.
@show_filter@
expression E, F;
@@
  d_inode(E->path.dentry) !=
- file_inode(F)
+ file_user_inode(F)

// A core dump: which file (NT_FILE shows it by its user path) ...
@dump_file@
expression V;
struct core_vma_metadata *M;
@@
  M->file =
- V->vm_file
+ vma_reported_file(V)

@dump_note exists@
identifier F, B;
struct core_vma_metadata *M;
expression L;
@@
  F = M->file;
  ... when any
- file_path(F, B, L)
+ d_path(file_user_path(F), B, L)

// ... and whether it can still be found by a name: the name is the user's.
@dump_unlinked@
expression V;
@@
- file_inode(V->vm_file)->i_nlink
+ file_user_inode(vma_reported_file(V))->i_nlink

// The mode of a link in map_files is how the user's file was opened.
@link_lookup@
expression V, D, T;
@@
  proc_map_files_instantiate(D, T, (void *)(unsigned long)
- V->vm_file
+ vma_reported_file(V)
  ->f_mode)

@link_list@
expression V, P;
@@
  P->mode =
- V->vm_file
+ vma_reported_file(V)
  ->f_mode

// Security modules judge mmap(2) by the user's file, so mprotect(2), too. (Whether there is a file
// does not depend on which.)
@mprotect@
identifier fn =~ "_file_mprotect$";
identifier V;
@@
 fn(struct vm_area_struct *V, ...)
 {
 <...
(
 !V->vm_file
|
- V->vm_file
+ vma_reported_file(V)
)
 ...>
 }

// ---- declarations ----------------------------------------------------------------------------

@calls@
@@
(
 vma_get_file(...)
|
 vma_put_file(...)
|
 region_put_file(...)
|
 region_may_share(...)
|
 vma_may_merge(...)
|
 vma_reported_file(...)
|
 region_reported_file(...)
|
 vma_snapshot_reported(...)
|
 d_path(file_user_path(...), ...)
)

// Once, and before the first call: a file may include more headers further down.
@included_fs depends on calls@
@@
 #include <linux/fs.h>
+#include <linux/vm_prfile.h>

@included_mm depends on calls && !included_fs@
@@
 #include <linux/mm.h>
+#include <linux/vm_prfile.h>

@included_last depends on calls && !included_fs && !included_mm@
@@
 #include <linux/...>
+#include <linux/vm_prfile.h>
 ... when != #include <linux/...>

// mm/vma.c, whose own list of includes is in vma_internal.h (another one in user space).
@included_internal depends on calls && !included_fs && !included_mm && !included_last@
@@
 #include "vma_internal.h"
+#include <linux/vm_prfile.h>
