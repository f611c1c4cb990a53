# SPDX-License-Identifier: GPL-2.0-only
"""Sites that a changed kernel could have: scripts/vm_prfile/vm_prfile-check --self-test adds each to a file."""

SHOW = "\nstatic void shown(struct seq_file *m, struct vm_area_struct *vma)\n{\n\t%s\n}\n"

# (what, file, old, new): new in place of old, or at the end of the file if old is None.
ADDED_SITES = [
    ("put of a vma's file", "mm/vma.c", "vma_put_file(vma);", "fput(vma->vm_file);"),
    ("put of a vma's file", "mm/mmap.c", "vma_put_file(vma);", "fput(vma->vm_file);"),
    ("put of a merged neighbour", "mm/vma.c", "vma_put_file(vp->remove);", "fput(vp->file);"),
    ("put of a merged neighbour", "mm/mmap.c", "vma_put_file(next);", "fput(file);"),
    ("put through a variable", "mm/shmem.c", None,
     "\nvoid gone(struct vm_area_struct *vma)\n{\n\tstruct file *f = vma->vm_file;\n\n\tfput(f);\n}\n"),
    ("put of a region's file", "mm/nommu.c", "region_put_file(region);", "fput(region->vm_file);"),
    ("sharing of a region", "mm/nommu.c", "!region_may_share(pregion, file)",
     "file_inode(pregion->vm_file) != file_inode(file)"),
    ("get for a copy", "mm/vma.c", "vma_get_file(new);", "get_file(new->vm_file);"),
    ("get for a copy", "mm/mmap.c", "vma_get_file(new);", "get_file(new->vm_file);"),
    ("get through a variable", "kernel/fork.c", "vma_get_file(tmp);", "get_file(file);"),
    ("get into another vma", "mm/mremap.c", None,
     "\nvoid copy(struct vm_area_struct *a, struct vm_area_struct *b)\n{\n"
     "\ta->vm_file = get_file(b->vm_file);\n}\n"),
    ("copy of one member", "kernel/fork.c", None,
     "\nvoid copy(struct vm_area_struct *a, struct vm_area_struct *b)\n{\n"
     "\ta->vm_file = b->vm_file;\n}\n"),
    ("merge without the prfile", "mm/vma.c", "|| !vma_may_merge(vma, vmg->prfile)", ""),
    ("merge without the prfile", "mm/mmap.c", "|| !vma_may_merge(vma, prfile)", ""),
    ("request without the prfile", "mm/vma.h", ".file = vma_->vm_file,\t\t\t\t\\\n\t\t.prfile =",
     ".file = vma_->vm_file,\t\t\t\t\\\n\t\t.pgoff ="),
    ("path", "fs/proc/task_mmu.c", None, SHOW % 'seq_path(m, &vma->vm_file->f_path, "");'),
    ("user path", "fs/proc/task_mmu.c", None,
     SHOW % 'seq_path(m, file_user_path(vma->vm_file), "");'),
    ("path through a variable", "fs/proc/task_mmu.c", None,
     SHOW % 'struct file *f = vma->vm_file;\n\n\tif (f)\n\t\tseq_path(m, &f->f_path, "");'),
    ("path through a variable", "fs/proc/task_nommu.c", "file = vma_reported_file(vma);",
     'file = vma->vm_file;\n\tif (file)\n\t\tseq_file_path(m, file, "");'),
    ("inode number", "fs/proc/task_mmu.c", None,
     SHOW % 'seq_printf(m, "%lu", file_inode(vma->vm_file)->i_ino);'),
    ("device", "fs/proc/task_mmu.c", None,
     SHOW % 'struct inode *inode;\n\n\tinode = file_inode(vma->vm_file);'
     '\n\tseq_printf(m, "%x", inode->i_sb->s_dev);'),
    ("name in a message", "mm/memory.c", None,
     '\nvoid told(struct vm_area_struct *vma)\n{\n\tpr_info("%pD\\n", vma->vm_file);\n}\n'),
    ("file of a core dump", "fs/coredump.c", "m->file = vma_reported_file(vma);",
     "m->file = vma->vm_file;"),
    ("executable file", "kernel/fork.c", "file_user_path(vma_reported_file(vma))",
     "&vma->vm_file->f_path"),
    ("security module", "security/apparmor/lsm.c", "vma_reported_file(vma)", "vma->vm_file"),
    ("code that Coccinelle cannot parse", "mm/vma.h", None,
     "\n#define VMA_GONE(vma_)\t\t\\\n\tdo if (1) {\t\\\n\t\tfput(vma_->vm_file)\n"),
]
