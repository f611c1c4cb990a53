# SPDX-License-Identifier: GPL-2.0-only
#
# A riscv64 machine without an MMU, for kunit.py --qemu_config=. The kernel runs in machine mode,
# so there is no firmware. The test device of the machine ends it, by syscon.
from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='riscv',
			   kconfig='''
CONFIG_EXPERT=y
CONFIG_NONPORTABLE=y
# CONFIG_MMU is not set
CONFIG_ARCH_VIRT=y
CONFIG_SMP=y
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_SERIAL_OF_PLATFORM=y''',
			   qemu_arch='riscv64',
			   kernel_path='arch/riscv/boot/Image',
			   kernel_command_line='console=ttyS0',
			   extra_qemu_params=[
					   '-machine', 'virt',
					   '-cpu', 'rv64,mmu=off',
					   '-bios', 'none'])
