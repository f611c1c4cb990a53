// SPDX-License-Identifier: GPL-2.0-only
//
// Finds sites that vm_prfile.cocci must not have left: a file of a mapping that is taken or put by hand, or
// shown without asking for the prfile, through a variable. scripts/vm_prfile/vm_prfile-check runs this,
// reports the lines with a star, and judges by itself each place that names vm_file.

// ---- taken, put or copied by hand ------------------------------------------------------------

@taken_initial exists@
expression V;
identifier F;
@@
 struct file *F = V->vm_file;
 ... when any
* get_file(F);
 ... when != fput(F)

@taken_assigned exists@
expression V;
idexpression struct file *F;
@@
 F = V->vm_file
 ... when any
* get_file(F);
 ... when != fput(F)

@put_initial exists@
expression V, E;
identifier F;
@@
 struct file *F = V->vm_file;
 ... when != get_file(F)
     when != F = E
* fput(F);

@put_assigned exists@
expression V, E;
idexpression struct file *F;
@@
 F = V->vm_file
 ... when != get_file(F)
     when != F = E
* fput(F);

@put_direct@
expression V;
@@
(
* fput(V->vm_file);
|
* get_file(V->vm_file);
)

@put_neighbour@
expression N, F;
@@
 uprobe_munmap(N, ...);
* fput(F);

@put_prepared@
struct vma_prepare *P;
@@
* fput(P->file);

@copied@
expression A, B;
position p;
@@
 A->vm_prfile = B->vm_prfile;
 A->vm_file@p = B->vm_file;

// A request of ->mmap_prepare: no mapping yet, and it has no prfile.
@asked@
struct vm_area_desc *D;
expression B;
position p;
@@
 D->vm_file@p = B->vm_file;

@copied_alone@
expression A, B;
position p != {copied.p, asked.p};
@@
* A->vm_file@p = B->vm_file;

// ---- shown by hand ---------------------------------------------------------------------------

@shown_initial exists@
expression V, E, L;
identifier F;
constant char [] fmt =~ "%pD";
@@
 struct file *F = V->vm_file;
 ... when any
     when != F = E
(
* file_user_path(F)
|
* file_user_inode(F)
|
* seq_file_path(E, F, ...)
|
* file_path(F, ...)
|
* F->f_path
|
* file_dentry(F)
|
* perf_addr_filter_match(E, F, ...)
|
* file_inode(F)->i_sb->s_dev
|
* file_inode(F)->i_ino
|
* printk(fmt, ..., F, ...)
|
* seq_printf(L, fmt, ..., F, ...)
)

@shown_assigned exists@
expression V, E, L;
idexpression struct file *F;
constant char [] fmt =~ "%pD";
@@
 F = V->vm_file
 ... when any
     when != F = E
(
* file_user_path(F)
|
* file_user_inode(F)
|
* seq_file_path(E, F, ...)
|
* file_path(F, ...)
|
* F->f_path
|
* file_dentry(F)
|
* perf_addr_filter_match(E, F, ...)
|
* file_inode(F)->i_sb->s_dev
|
* file_inode(F)->i_ino
|
* printk(fmt, ..., F, ...)
|
* seq_printf(L, fmt, ..., F, ...)
)

@shown_inode exists@
expression V;
identifier I;
@@
* I = file_inode(V->vm_file);
 ... when any
 I->i_sb->s_dev

@shown_inode_initial exists@
expression V;
identifier I;
type T;
@@
* T I = file_inode(V->vm_file);
 ... when any
 I->i_sb->s_dev
